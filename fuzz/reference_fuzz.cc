// Image references: what parses must parse again to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "oci/manifest.h"
#include "oci/reference.h"
#include "support/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    auto reference = bulkhead::oci::parse_reference(text);
    if (bulkhead::oci::parse_reference(reference.text()).text() != reference.text() ||
        reference.path.find("..") != std::string::npos) {
      std::abort();
    }
  } catch (const bulkhead::Error&) {
  }
  try {
    bulkhead::oci::parse_platform(text);
  } catch (const bulkhead::Error&) {
  }
  return 0;
}
