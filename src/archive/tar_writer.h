// The headers of a tar archive that we write: ustar, with a pax header before it where ustar can't say it (long names, large
// numbers, extended attributes). Pure; what tar_reader.h reads. Names are bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "archive/tar_reader.h"

namespace bulkhead::archive {

/// All that stands before an entry's content. A folder's name ends in "/". Of the time, whole seconds: what other archivers
/// write.
std::string tar_header(const TarEntry& entry);
/// Zeros behind a content of `size` bytes.
size_t tar_padding(uint64_t size);
/// Zeros behind the last entry.
inline constexpr size_t kTarEnd = 1024;

}  // namespace bulkhead::archive
