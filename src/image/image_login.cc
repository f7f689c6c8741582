#include <chrono>

#include "image/http_client.h"
#include "image/image_store_state.h"
#include "image/registry_session.h"
#include "oci/reference.h"

namespace bulkhead::image {
namespace {

/// Clients name a registry as "host:port" or as a URL; Docker Hub as "https://index.docker.io/v1/".
std::string host_of(std::string registry) {
  for (std::string_view scheme : {"https://", "http://"}) {
    if (registry.starts_with(scheme)) {
      registry.erase(0, scheme.size());
    }
  }
  registry = registry.substr(0, registry.find('/'));
  return registry.empty() || registry == "index.docker.io" || registry == "registry-1.docker.io" ? "docker.io" : registry;
}

}  // namespace

void ImageStore::check_credentials(const std::string& registry, const Credentials& credentials) {
  // A token is asked for some repository; which one makes no difference to whether the credentials are right.
  oci::Reference reference = oci::parse_reference(host_of(registry) + "/library/login");
  auto cancel = std::make_shared<std::atomic<bool>>(false);
  HttpClient http(state_->policy, {.connect = state_->options.connect_timeout, .stall = state_->options.stall_timeout}, cancel);
  RegistrySession session(state_->policy, reference, credentials, cancel, std::chrono::milliseconds(0));
  session.connect(http);
  session.verify_credentials(http);
}

}  // namespace bulkhead::image
