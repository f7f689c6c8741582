#include "engine/spec_mounts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/mount_requests.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

std::vector<oci::Mount> default_mounts(const HostConfig& host_config) {
  std::vector<oci::Mount> mounts = {
      {.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec", "nodev"}},
      {.destination = "/dev",
       .type = "tmpfs",
       .source = "tmpfs",
       .options = {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {.destination = "/dev/pts",
       .type = "devpts",
       .source = "devpts",
       .options = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}},
      {.destination = "/sys/fs/cgroup", .type = "cgroup", .source = "cgroup", .options = {"ro", "nosuid", "noexec", "nodev"}},
  };
  if (host_config.ipc_mode == "host") {
    for (const char* path : {"/dev/mqueue", "/dev/shm"}) {
      if (access(path, F_OK) == 0) {
        mounts.push_back({.destination = path, .type = "bind", .source = path, .options = {"rbind", "rprivate"}});
      }
    }
    return mounts;
  }
  mounts.push_back(
      {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = {"nosuid", "noexec", "nodev"}});
  if (host_config.ipc_mode != "none") {
    int64_t size = host_config.shm_size > 0 ? host_config.shm_size : int64_t{64} << 20;
    mounts.push_back({.destination = "/dev/shm",
                      .type = "tmpfs",
                      .source = "shm",
                      .options = {"nosuid", "noexec", "nodev", "mode=1777", fmt::format("size={}", size)}});
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
  std::vector<oci::Mount> mounts;
  for (const auto& [target, source] : {std::pair{"/etc/resolv.conf", container.resolv_conf_path},
                                       {"/etc/hostname", container.hostname_path},
                                       {"/etc/hosts", container.hosts_path}}) {
    if (!source.empty()) {
      mounts.push_back({.destination = target, .type = "bind", .source = source, .options = {"rbind", "rprivate"}});
      set_readonly(mounts.back(), container.host_config.readonly_rootfs);
    }
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
  std::vector<oci::Mount> mounts = default_mounts(host_config);
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

std::vector<std::string> default_masked_paths() {
  std::vector<std::string> paths = {"/proc/acpi",
                                    "/proc/asound",
                                    "/proc/interrupts",
                                    "/proc/kcore",
                                    "/proc/keys",
                                    "/proc/latency_stats",
                                    "/proc/sched_debug",
                                    "/proc/scsi",
                                    "/proc/timer_list",
                                    "/proc/timer_stats",
                                    "/sys/devices/virtual/powercap",
                                    "/sys/firmware"};
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

std::vector<std::string> default_readonly_paths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

}  // namespace bulkhead::engine
