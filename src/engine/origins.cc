#include "engine/origins.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "engine/container.h"
#include "engine/device_requests.h"
#include "engine/mount_requests.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

std::string real_path(const std::string& path) {
  std::error_code unreadable;  // whoever mounts it says why
  std::string real = std::filesystem::weakly_canonical(path, unreadable);
  return unreadable || real.empty() ? path : clean_path(real);
}

std::string number_of(const oci::Device& device) { return fmt::format("{} {}:{}", device.type, device.major, device.minor); }

[[noreturn]] void refuse(const std::string& what, const std::string& decided, const std::string& now) {
  throw Error(
      ErrorCode::kPermissionDenied,
      fmt::format("{} was {} when the policy allowed it, and is {} now: put it back, or remove the container and create "
                  "it again, which asks the policy again",
                  what, decided, now));
}

}  // namespace

Origins origins_of(const HostConfig& config) {
  Origins origins;
  for (const MountRequest& request : mount_requests(config)) {
    if (request.view.type == "bind") {
      origins.mounts[request.view.destination] = real_path(request.view.source);
    }
  }
  try {
    if (!config.privileged) {
      for (const oci::Device& device : device_requests(config).devices) {
        origins.devices[device.path] = number_of(device);
      }
    }
  } catch (const Error&) {
    // One of them isn't there: a start says so.
  }
  return origins;
}

void settle_sources(oci::Spec& spec) {
  for (oci::Mount& mount : spec.mounts) {
    if (oci::is_bind(mount)) {
      mount.source = real_path(mount.source);
    }
  }
  spec.annotations[oci::kExactSources] = "true";
}

void require_decided_origins(const Container& container, const oci::Spec& spec) {
  if (!container.policy || container.policy->decision.file.empty()) {
    return;
  }
  const Origins& decided = container.policy->origins;
  for (const auto& [target, source] : decided.mounts) {
    auto mount = std::find_if(spec.mounts.begin(), spec.mounts.end(),
                              [&target = target](const oci::Mount& each) { return each.destination == target; });
    if (mount != spec.mounts.end() && mount->source != source) {
      refuse(fmt::format("the source of the mount on '{}'", target), fmt::format("'{}'", source),
             fmt::format("'{}'", mount->source));
    }
  }
  if (container.host_config.privileged) {
    return;  // it was given all there are
  }
  for (const oci::Device& device : spec.linux_.devices) {
    auto known = decided.devices.find(device.path);
    std::string was = known == decided.devices.end() ? "not there" : known->second;
    if (was != number_of(device)) {
      refuse(fmt::format("the device for '{}'", device.path), was, number_of(device));
    }
  }
}

}  // namespace bulkhead::engine
