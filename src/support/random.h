// Identifiers from the kernel's random generator (getrandom(2)).
#pragma once

#include <cstddef>
#include <string>

namespace bulkhead {

/// `bytes` random bytes as lower-case hexadecimal (2 * bytes characters): container and exec ids use 32 bytes.
std::string random_hex(size_t bytes);

}  // namespace bulkhead
