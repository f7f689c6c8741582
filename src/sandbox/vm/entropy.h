// Random bytes of the host for a guest.
#pragma once

#include <sys/random.h>

#include <string>

#include "support/error.h"

namespace bulkhead::sandbox::vm {

inline std::string random_bytes(size_t size) {
  std::string bytes(size, '\0');
  if (::getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size)) {
    throw system_error("get random bytes");
  }
  return bytes;
}

}  // namespace bulkhead::sandbox::vm
