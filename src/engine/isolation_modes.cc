#include "engine/isolation_modes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <filesystem>

#include "engine/mount_requests.h"
#include "linux/idmapped_mount.h"
#include "oci/container_defaults.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

/// What a process can have at most, of memory and swap: beyond it the kernel refuses the mapping (proc(5), overcommit_memory).
int64_t memory_of_host() {
  struct sysinfo info {};
  ::sysinfo(&info);  // can't fail: sysinfo(2)
  return static_cast<int64_t>((uint64_t{info.totalram} + info.totalswap) * info.mem_unit);
}

}  // namespace

std::map<std::string, task::IsolationDescription> IsolationModes::all() {
  std::lock_guard lock(mutex_);
  bool all_available =
      !known_.empty() && std::all_of(known_.begin(), known_.end(), [](const auto& mode) { return mode.second.available; });
  if (!all_available) {
    known_ = task::describe_isolations(shim_, cache_folder_);
  }
  return known_;
}

task::IsolationDescription IsolationModes::need(const std::string& mode) {
  std::lock_guard lock(mutex_);
  auto found = known_.find(mode);
  if (found == known_.end() || !found->second.available) {
    known_ = task::describe_isolations(shim_, cache_folder_);
    found = known_.find(mode);
  }
  if (found == known_.end()) {
    throw Error(ErrorCode::kNotSupported, fmt::format("this host's shim has no {} isolation", mode));
  }
  if (!found->second.available) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("{} isolation can't be made on this host: {}", mode, found->second.reason));
  }
  return found->second;
}

void check_mode(const std::string& mode, const task::IsolationDescription& description, const HostConfig& host_config) {
  auto refuse = [&](const std::string& option, const std::string& why) {
    throw Error(
        ErrorCode::kNotSupported,
        fmt::format("{} is not possible with --isolation={}: {}. Leave it out, or use --isolation=process", option, mode, why));
  };
  constexpr const char* kOwnKernel = "the container has a kernel of its own, the host's can't be shared with it";
  if (!description.host_network && host_config.network_mode == "host") {
    refuse("--network=host", kOwnKernel);
  }
  if (!description.host_pid && host_config.pid_mode == "host") {
    refuse("--pid=host", kOwnKernel);
  }
  if (!description.host_ipc && host_config.ipc_mode == "host") {
    refuse("--ipc=host", kOwnKernel);
  }
  if (description.own_kernel && host_config.uts_mode == "host") {
    refuse("--uts=host", kOwnKernel);
  }
  if (!description.host_devices && !host_config.devices.empty()) {
    refuse(fmt::format("--device={}", host_config.devices.front().path_on_host),
           "devices of the host belong to the host's kernel, and the container has another");
  }
  constexpr const char* kCgroupV2 = "the container has a kernel of its own with cgroup v2, which has no such setting";
  if (description.own_kernel && host_config.memory_swappiness) {
    refuse("--memory-swappiness", kCgroupV2);
  }
  if (description.own_kernel && host_config.oom_kill_disable) {
    refuse("--oom-kill-disable", kCgroupV2);
  }
  if (int64_t most = memory_of_host(); description.own_kernel && host_config.memory > most) {
    refuse(fmt::format("--memory={}", host_config.memory),
           fmt::format("the container's VM is made with this memory, and the host has {} bytes with its swap", most));
  }
  for (const MountRequest& mount : description.own_kernel ? mount_requests(host_config) : std::vector<MountRequest>()) {
    const std::string& propagation = mount.view.propagation;
    if (propagation.ends_with("shared") || propagation.ends_with("slave")) {
      refuse(fmt::format("'{}' of the bind mount on '{}'", propagation, mount.view.destination),
             "the container has a kernel of its own, and mounts don't pass from one to the other");
    }
  }
  auto profile = std::find_if(host_config.security_opt.begin(), host_config.security_opt.end(), [](const std::string& option) {
    return option.starts_with("apparmor") && !option.ends_with("unconfined");
  });
  if (description.own_kernel && profile != host_config.security_opt.end()) {
    refuse("--security-opt " + *profile,
           "AppArmor's profiles are loaded into the host's kernel, and the container has another");
  }
  if (!description.own_kernel && host_config.storage_size > 0) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("--storage-opt size is not possible with --isolation={}: folders on the host's file system have no "
                            "limit of their own. Leave it out, or use --isolation=hyperv, where a container has a disk",
                            mode));
  }
}

namespace {

/// Tries it: which file systems can is another list for each kernel, and what is mounted below counts too.
void check_source(const MountRequest& request, const UniqueFd& user_namespace) {
  const std::string& source = request.view.source;
  if (oci::is_name_file(request.view.destination)) {  // a copy of it goes to the VM
    if (!std::filesystem::is_regular_file(source) &&
        !std::filesystem::is_character_file(source)) {  // /dev/null is an empty one
      throw Error(ErrorCode::kNotSupported, "it is no file, and nothing else can be there");
    }
    return;
  }
  auto depth = request.recursive ? linux::Depth::kWithMountsBelow : linux::Depth::kOne;
  linux::make_idmapped_mount(open_file(source, O_PATH), depth, 0, user_namespace);
}

}  // namespace

void check_sources(const std::string& mode, const task::IsolationDescription& description, const HostConfig& host_config) {
  if (!description.own_kernel) {
    return;
  }
  constexpr uid_t kNobodys = 0x70000000;  // never written anywhere
  UniqueFd user_namespace;
  for (const MountRequest& request : mount_requests(host_config)) {
    if (request.view.type != "bind") {
      continue;
    }
    if (!user_namespace) {
      user_namespace = linux::make_user_namespace(kNobodys, 1);
    }
    try {
      check_source(request, user_namespace);
    } catch (const Error& error) {
      throw error.code() != ErrorCode::kNotSupported
          ? error.wrap(fmt::format("try to share '{}' with a VM", request.view.source))
          : Error(error.code(), fmt::format("a bind mount of '{}' at '{}' is not possible with --isolation={}: {}. Leave it "
                                            "out, or use --isolation=process",
                                            request.view.source, request.view.destination, mode, error.message()));
    }
  }
}

}  // namespace bulkhead::engine
