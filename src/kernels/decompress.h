// Whole compressed files in memory: kernels and modules as distributions ship them. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::kernels {

/// gzip, xz, zstd or LZ4 (its legacy format, which the kernel's build uses), told apart by their first bytes; what follows the
/// compressed data is ignored. nullopt where the bytes are none of these. Throws kDataLoss where they are corrupt,
/// kResourceExhausted where more than `limit` bytes come out.
std::optional<std::string> decompress(std::string_view bytes, size_t limit);

}  // namespace bulkhead::kernels
