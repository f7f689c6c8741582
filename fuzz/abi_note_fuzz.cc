// The ELF headers and notes of an image's C library.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "compat/abi_note.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::compat::minimum_kernel({reinterpret_cast<const char*>(data), size});
  return 0;
}
