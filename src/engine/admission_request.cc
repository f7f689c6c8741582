#include "engine/admission_request.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/engine.h"
#include "image/image.h"
#include "policy/host_paths.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool is_name_of(const oci::Reference& reference, const image::Image& image) {
  if (!reference.digest.empty()) {
    return contains(image.digests, reference.familiar_name() + "@" + reference.digest);
  }
  return contains(image.tags, reference.with_default_tag().familiar());
}

/// SECURITY: an id's beginning looks like the name of a Docker Hub image ("deadbeef"). What was found by its id goes by the
/// names that it has.
void name_image(policy::Request& request, const image::Image& image) {
  if (!request.references.empty() && is_name_of(request.references.front(), image)) {
    return;
  }
  request.references.clear();
  for (const auto* names : {&image.tags, &image.digests}) {
    for (const std::string& name : *names) {
      request.references.push_back(oci::parse_reference(name));
    }
  }
}

policy::Request read(const ContainerConfig& config, const HostConfig& host_config) {
  nlohmann::json body = {{"Image", config.image}, {"Labels", config.labels}, {"HostConfig", to_json(host_config)}};
  policy::Request request = policy::read_request(body);
  // SECURITY: a link in a folder that may be mounted could lead out of it.
  policy::HostPaths host;
  look_at_paths(request, host);
  return request;
}

}  // namespace

policy::Request admission_request(const CreateRequest& request, const image::Image& image) {
  policy::Request asked = read(request.config, request.host_config);
  asked.caller = request.caller;
  asked.image_labels = image.config.labels;
  name_image(asked, image);
  return asked;
}

policy::Request admission_request(const Container& container) {
  policy::Request asked = read(container.config, container.host_config);
  asked.image_labels = asked.labels;
  return asked;
}

}  // namespace bulkhead::engine
