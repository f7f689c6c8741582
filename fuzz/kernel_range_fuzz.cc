// The kernel range of an image's label, and versions as images write them.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "compat/kernel_version.h"
#include "compat/windows_text.h"
#include "support/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  bulkhead::compat::refuse_windows_image("x", text);
  try {
    bulkhead::compat::KernelRange::parse(text).holds({6, 1, 0});
  } catch (const bulkhead::Error&) {
  }
  return 0;
}
