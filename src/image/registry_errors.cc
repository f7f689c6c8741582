#include "image/registry_errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "archive/archive_path.h"
#include "oci/bounded_json.h"
#include "support/error.h"

namespace bulkhead::image {

RegistryError parse_registry_error(const HttpResponse& response) {
  RegistryError result;
  result.text = fmt::format("received unexpected HTTP status: {}", response.head.status);
  nlohmann::json body = nlohmann::json::parse(response.body.substr(0, 64UL << 10), nullptr, false);
  if (!body.is_object() || !body.contains("errors") || !body["errors"].is_array() || body["errors"].empty() ||
      !body["errors"][0].is_object()) {
    return result;
  }
  const nlohmann::json& first = body["errors"][0];
  auto text = [&](const char* key) {
    return first.contains(key) && first[key].is_string() ? archive::printable(first[key].get<std::string>()) : std::string();
  };
  result.code = text("code");
  if (result.code.empty()) {
    return result;
  }
  std::string words = result.code;
  std::transform(words.begin(), words.end(), words.begin(), [](char c) {
    return c == '_' ? ' ' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  std::string message = text("message");
  result.text = words + ": " + (message.empty() ? words : message);
  return result;
}

void throw_manifest_error(const oci::Reference& reference, const std::string& url, const HttpResponse& response) {
  RegistryError error = parse_registry_error(response);
  int status = response.head.status;
  if (error.code == "MANIFEST_UNKNOWN" || (status == 404 && error.code.empty())) {
    throw Error(ErrorCode::kNotFound, fmt::format("manifest for {} not found: {}", reference.familiar(),
                                                  error.code.empty() ? "manifest unknown: manifest unknown" : error.text));
  }
  if (error.code == "NAME_UNKNOWN") {
    throw Error(ErrorCode::kNotFound, fmt::format("repository {} not found: {}", reference.familiar_name(), error.text));
  }
  if (status == 401 || status == 403 || error.code == "DENIED" || error.code == "UNAUTHORIZED") {
    throw Error(ErrorCode::kNotFound,
                fmt::format("pull access denied for {}, repository does not exist or may require 'docker login': {}",
                            reference.familiar_name(),
                            error.code.empty() ? "denied: requested access to the resource is denied" : error.text));
  }
  if (status == 429) {
    throw Error(ErrorCode::kUnavailable,
                error.code.empty() ? "toomanyrequests: too many requests to the registry" : error.text);
  }
  throw Error(ErrorCode::kUnavailable, fmt::format("Get \"{}\": {}", url, error.text));
}

}  // namespace bulkhead::image
