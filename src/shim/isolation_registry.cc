#include "shim/isolation_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::shim {

std::unique_ptr<sandbox::Isolation> IsolationRegistry::make(const oci::Spec& spec,
                                                            const std::filesystem::path& cache_folder) const {
  auto annotation = spec.annotations.find(kIsolationAnnotation);
  std::string name = annotation == spec.annotations.end() ? "process" : annotation->second;
  if (auto factory = factories_.find(name); factory != factories_.end()) {
    return factory->second(cache_folder);
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("isolation '{}' is unknown: it is 'process' or 'hyperv'", name));
}

std::string IsolationRegistry::describe(const std::filesystem::path& cache_folder) const {
  nlohmann::json kinds = nlohmann::json::object();
  for (const auto& [name, factory] : factories_) {
    auto isolation = factory(cache_folder);
    sandbox::Capabilities can = isolation->capabilities();
    sandbox::Availability found = isolation->availability();
    kinds[name] = {{"host_network", can.host_network}, {"host_pid", can.host_pid},
                   {"host_ipc", can.host_ipc},         {"join_namespaces", can.join_namespaces},
                   {"host_devices", can.host_devices}, {"own_kernel", can.own_kernel},
                   {"available", found.available},     {"reason", found.reason},
                   {"accelerator", found.accelerator}, {"accelerator_reason", found.accelerator_reason}};
  }
  return kinds.dump();
}

void check_capabilities(const oci::Spec& spec, const sandbox::Capabilities& capabilities) {
  auto refuse = [](std::string_view what) {
    throw Error(ErrorCode::kNotSupported, fmt::format("this isolation can't give a container {}; process isolation can", what));
  };
  auto shares_hosts = [&](std::string_view type) {
    return std::none_of(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                        [&](const oci::Namespace& item) { return item.type == type; });
  };
  if (!capabilities.host_network && shares_hosts("network")) {
    refuse("the host's network");
  }
  if (!capabilities.host_pid && shares_hosts("pid")) {
    refuse("the host's processes");
  }
  if (!capabilities.host_ipc && shares_hosts("ipc")) {
    refuse("the host's IPC objects");
  }
  for (const oci::Namespace& item : spec.linux_.namespaces) {
    // A network namespace with a path is how every container gets its network; the others are another container's.
    if (!capabilities.join_namespaces && !item.path.empty() && item.type != "network") {
      refuse(fmt::format("another container's {} namespace", item.type));
    }
  }
}

}  // namespace bulkhead::shim
