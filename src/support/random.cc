#include "support/random.h"

#include <sys/random.h>

#include "support/error.h"

namespace bulkhead {

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0');
  // getrandom(2): up to 256 bytes are never cut short once the generator is seeded.
  if (getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(raw.size())) {
    throw system_error("read random bytes");
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes * 2);
  for (unsigned char byte : raw) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace bulkhead
