#include "sandbox/vm/guest_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/protocol/protocol.h"
#include "oci/container_defaults.h"
#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

bool has_option(const oci::Mount& mount, const char* wanted) {
  return std::find(mount.options.begin(), mount.options.end(), wanted) != mount.options.end();
}

ShareSpec share_of(const oci::Mount& mount, Links links) {
  return {.source = mount.source,
          .access = has_option(mount, "ro") ? Access::kReadOnly : Access::kReadWrite,
          .depth = has_option(mount, "rbind") ? Depth::kWithMountsBelow : Depth::kOne,
          .links = links};
}

void check_namespaces(const oci::Spec& spec) {
  for (const char* needed : {"pid", "ipc", "uts", "mount", "network"}) {
    bool found = std::any_of(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                             [&](const oci::Namespace& each) { return each.type == needed; });
    if (!found) {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("hyperv isolation can't share the host's {} namespace: the container has another kernel; use "
                              "process isolation for that",
                              needed));
    }
  }
}

void take_mounts(GuestSpec& guest) {
  Links links = oci::has_exact_sources(guest.spec) ? Links::kNone : Links::kFollowed;
  for (oci::Mount& mount : guest.spec.mounts) {
    if (!oci::is_bind(mount)) {
      continue;
    }
    if (!oci::is_name_file(mount.destination)) {
      guest.shares.push_back(share_of(mount, links));
      mount.source = fmt::format("{}/{}", agent::kSharesFolder, guest.shares.size() - 1);
      continue;
    }
    // What an engine makes for each container: the guest gets a copy, no share.
    std::string name = mount.destination.substr(mount.destination.rfind('/') + 1);
    guest.files.push_back({.name = name, .source = mount.source, .links = links});
    mount.source = fmt::format("{}/{}", agent::kFilesFolder, name);
  }
}

void take_namespaces(GuestSpec& guest) {
  for (oci::Namespace& each : guest.spec.linux_.namespaces) {
    if (each.path.empty()) {
      continue;
    }
    if (each.type != "network") {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("hyperv isolation can't join the {} namespace '{}': the container has another kernel", each.type,
                              each.path));
    }
    guest.network_namespace = each.path;
    each.path = agent::kNetwork;
  }
}

}  // namespace

GuestSpec make_guest_spec(const oci::Spec& spec) {
  GuestSpec guest{.spec = spec, .seccomp = {}, .files = {}, .shares = {}, .network_namespace = {}};
  guest.seccomp = std::exchange(guest.spec.linux_.seccomp, std::nullopt);
  check_namespaces(spec);
  take_namespaces(guest);
  take_mounts(guest);
  guest.spec.root.path = "rootfs";
  // Numbers of the host's processors and memory nodes; QEMU's cgroup has them.
  guest.spec.linux_.resources.cpuset_cpus.clear();
  guest.spec.linux_.resources.cpuset_mems.clear();
  // Names of policies that the host's kernel has loaded. The wall they would strengthen is the VM's.
  guest.spec.process.apparmor_profile.clear();
  guest.spec.process.selinux_label.clear();
  guest.spec.linux_.mount_label.clear();
  guest.spec.linux_.cgroups_path.clear();
  return guest;
}

std::string name_sources(std::string message, const GuestSpec& guest) {
  auto name = [&](const std::string& inside, const std::filesystem::path& source) {
    if (size_t found = message.find(inside); found != std::string::npos) {
      message.replace(found, inside.size(), source.native());
    }
  };
  for (size_t i = guest.shares.size(); i-- > 0;) {  // "/10" begins with "/1"
    name(fmt::format("{}/{}", agent::kSharesFolder, i), guest.shares[i].source);
  }
  for (const CopiedFile& file : guest.files) {
    name(fmt::format("{}/{}", agent::kFilesFolder, file.name), file.source);
  }
  return message;
}

RootDiskPaths root_disks_of(const std::vector<Mount>& rootfs) {
  RootDiskPaths paths;
  for (const Mount& mount : rootfs) {
    std::filesystem::path& path = mount.type == "erofs" ? paths.image : paths.scratch;
    if ((mount.type != "erofs" && mount.type != "ext4") || !path.empty()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("hyperv isolation takes its root from one erofs and one ext4 disk, not from '{}' of type '{}'",
                              mount.source, mount.type));
    }
    path = mount.source;
  }
  if (paths.image.empty() || paths.scratch.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "hyperv isolation needs an erofs and an ext4 disk for the container's root");
  }
  return paths;
}

uint64_t machine_memory(std::optional<int64_t> limit, uint64_t otherwise, uint64_t kernel) {
  constexpr uint64_t kStep = 128UL << 20;
  if (!limit || *limit <= 0) {
    return kernel == kernels::kSmallKernel ? otherwise
                                           : (otherwise + kernel - kernels::kSmallKernel + kStep - 1) / kStep * kStep;
  }
  // Beyond what a machine has there is no use in asking: QEMU would fail to start.
  uint64_t wanted = std::min<uint64_t>(static_cast<uint64_t>(*limit), 1UL << 40);
  wanted += kernel + wanted / 32;
  return (wanted + kStep - 1) / kStep * kStep;
}

}  // namespace bulkhead::sandbox::vm
