// What a registry says when it refuses (distribution spec, "Error Codes"), in the words that Docker makes of it. Pure.
#pragma once

#include <string>

#include "image/http_client.h"
#include "oci/reference.h"

namespace bulkhead::image {

struct RegistryError {
  std::string code;  // "MANIFEST_UNKNOWN", or "" where the body says none
  std::string text;  // "manifest unknown: manifest unknown", or "unexpected status: 500 ..."
};

RegistryError parse_registry_error(const HttpResponse& response);

/// Throws what Docker says where the manifest of `reference` was refused so.
[[noreturn]] void throw_manifest_error(const oci::Reference& reference, const std::string& url, const HttpResponse& response);

}  // namespace bulkhead::image
