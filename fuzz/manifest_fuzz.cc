// Manifests, indexes and image configurations from a registry; challenges from its headers.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "image/image_config.h"
#include "image/registry_auth.h"
#include "oci/manifest.h"
#include "support/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    bulkhead::oci::parse_manifest(text, "");
  } catch (const bulkhead::Error&) {
  }
  try {
    bulkhead::image::parse_image_config(text);
  } catch (const bulkhead::Error&) {
  }
  bulkhead::image::parse_challenges(text);
  return 0;
}
