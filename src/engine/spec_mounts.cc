#include "engine/spec_mounts.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/mount_requests.h"
#include "oci/container_defaults.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

/// The default ones, but for what --ipc changes.
std::vector<oci::Mount> own_mounts(const HostConfig& host_config) {
  std::vector<oci::Mount> mounts = oci::default_mounts();
  if (host_config.ipc_mode == "host") {
    for (const char* path : {"/dev/mqueue", "/dev/shm"}) {
      if (access(path, F_OK) == 0) {
        mounts.push_back({.destination = path, .type = "bind", .source = path, .options = {"rbind", "rprivate"}});
      }
    }
    return mounts;
  }
  mounts.push_back(oci::message_queue_mount());
  if (host_config.ipc_mode != "none") {
    mounts.push_back(oci::shared_memory_mount(host_config.shm_size > 0 ? host_config.shm_size : oci::kDefaultSharedMemory));
  }
  return mounts;
}

void set_readonly(oci::Mount& mount, bool readonly) {
  std::erase(mount.options, "ro");
  if (readonly) {
    mount.options.emplace_back("ro");
  }
}

std::vector<oci::Mount> name_file_mounts(const Container& container) {
  auto mounts = oci::name_file_mounts(
      {.resolv_conf = container.resolv_conf_path, .hostname = container.hostname_path, .hosts = container.hosts_path});
  for (oci::Mount& mount : mounts) {
    set_readonly(mount, container.host_config.readonly_rootfs);
  }
  return mounts;
}

/// A mount of the user's on one of ours replaces it; one on /dev replaces what we have below as well.
void drop_replaced(std::vector<oci::Mount>& mounts, const std::set<std::string>& targets) {
  std::erase_if(mounts, [&](const oci::Mount& mount) {
    return targets.contains(mount.destination) || (targets.contains("/dev") && mount.destination.starts_with("/dev/"));
  });
}

oci::Mount init_mount(const std::filesystem::path& binary) {
  if (binary.empty()) {
    throw Error(ErrorCode::kNotSupported,
                "--init: this host has no init program for containers: install the package 'tini', or leave --init out");
  }
  return {.destination = kInitTarget, .type = "bind", .source = binary, .options = {"bind", "ro", "rprivate"}};
}

}  // namespace

std::vector<oci::Mount> spec_mounts(const SpecRequest& request) {
  const HostConfig& host_config = request.container.host_config;
  auto requested = mount_requests(host_config);
  std::set<std::string> targets;
  for (const MountRequest& mount : requested) {
    targets.insert(mount.view.destination);
  }
  std::vector<oci::Mount> mounts = own_mounts(host_config);
  auto names = name_file_mounts(request.container);
  drop_replaced(mounts, targets);
  drop_replaced(names, targets);
  if (host_config.privileged) {
    for (oci::Mount& mount : mounts) {
      if (mount.type == "sysfs" || mount.type == "cgroup") {
        set_readonly(mount, false);
      }
    }
  }
  for (const MountRequest& mount : requested) {
    mounts.push_back(to_mount(mount));
  }
  // After the user's own: a mount on /etc must not hide them.
  mounts.insert(mounts.end(), names.begin(), names.end());
  if (host_config.init.value_or(false)) {
    mounts.push_back(init_mount(request.init_binary));
  }
  return mounts;
}

std::vector<std::string> masked_paths() {
  std::vector<std::string> paths = oci::default_masked_paths();
  // SECURITY: how warm each processor is tells what its other users do (GHSA-6fw5-f8r9-fgfm).
  static const std::vector<std::string> kProcessors = [] {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/cpu", ignored)) {
      std::filesystem::path throttle = entry.path() / "thermal_throttle";
      if (std::filesystem::exists(throttle, ignored)) {
        found.push_back(throttle);
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }();
  paths.insert(paths.end(), kProcessors.begin(), kProcessors.end());
  return paths;
}

}  // namespace bulkhead::engine
