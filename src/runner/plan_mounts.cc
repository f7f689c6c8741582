#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>

#include "linux/cgroup_layout.h"
#include "runner/mount_options.h"
#include "runner/planner.h"
#include "runner/proc_targets.h"
#include "runner/source_propagation.h"
#include "support/error.h"

namespace bulkhead::runner {

namespace {

// SECURITY: a plain absolute path. The kernel keeps ".." inside the root anyway (RESOLVE_IN_ROOT); refusing it keeps what is
// written in a spec and what happens the same thing.
std::string plain_target(const std::string& destination, const char* property) {
  std::filesystem::path path = std::filesystem::path("/" + destination).lexically_normal();
  std::string text = path.native();
  while (text.size() > 1 && text.back() == '/') {
    text.pop_back();
  }
  if (text.starts_with("//")) {
    text.erase(0, 1);
  }
  if (text.empty() || text == "/") {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' can't be '{}'", property, destination));
  }
  return text;
}

bool namespace_is_new(const oci::Spec& spec, std::string_view type) {
  return std::any_of(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                     [&](const oci::Namespace& each) { return each.type == type && each.path.empty(); });
}

PlannedMount planned(Plan& plan, const std::string& target, const MountOptions& options) {
  PlannedMount mount;
  mount.target = plan.texts.keep(target);
  mount.set = options.set;
  mount.clear = options.clear;
  mount.recursive_set = options.recursive_set;
  mount.recursive_clear = options.recursive_clear;
  mount.propagation = options.propagation;
  return mount;
}

void plan_bind(Plan& plan, const oci::Mount& mount, const std::string& target, const MountOptions& options, bool exact_source) {
  if (!mount.source.starts_with('/')) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the source of the bind mount on '{}' is not an absolute path: '{}'",
                                                         mount.destination, mount.source));
  }
  if (!options.data.empty()) {
    throw Error(ErrorCode::kNotSupported, fmt::format("mount option '{}' of the bind mount on '{}' is not supported",
                                                      options.data[0].first, mount.destination));
  }
  PlannedMount out = planned(plan, target, options);
  out.kind = MountKind::kBind;
  out.source = plan.texts.keep(mount.source);
  out.recursive_bind = options.recursive_bind;
  out.exact_source = exact_source;
  if (out.propagation == 0) {
    out.propagation = MS_PRIVATE;
  }
  if (out.propagation == MS_SHARED && plan.container->user_namespace) {  // its copy of the host's mounts only hears (slave)
    throw Error(ErrorCode::kNotSupported,
                fmt::format("the shared bind mount on '{}' in a new user namespace is not supported", mount.destination));
  }
  check_source_propagation(mount.source, out.propagation);
  plan.container->mounts.push_back(std::move(out));
}

void plan_filesystem(Plan& plan, const oci::Mount& mount, const std::string& target, const MountOptions& options) {
  PlannedMount out = planned(plan, target, options);
  out.kind = MountKind::kFilesystem;
  out.type = plan.texts.keep(mount.type);
  // SECURITY: of these the rest of the wall (masks, sysctls, read-only paths) depends on being where their names say: a link in
  // the image must not lead them elsewhere.
  bool exact = mount.type == "proc" || mount.type == "sysfs" || mount.type == "cgroup2";
  out.symlinks = exact ? Symlinks::kForbidden : Symlinks::kInsideRoot;
  if (!mount.source.empty() && mount.source.find('\0') == std::string::npos) {
    out.source = plan.texts.keep(mount.source);
  }
  for (const auto& [key, value] : options.data) {
    out.options.push_back({plan.texts.keep(key), value ? plan.texts.keep(*value) : nullptr});
  }
  plan.container->mounts.push_back(std::move(out));
}

constexpr uint64_t kCgroupAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

PlannedMount bind_cgroup(Plan& plan, const std::filesystem::path& source, const std::string& target, bool readonly) {
  PlannedMount bind;
  bind.kind = MountKind::kBind;
  bind.symlinks = Symlinks::kForbidden;
  bind.source = plan.texts.keep(source);
  bind.target = plan.texts.keep(target);
  bind.set = kCgroupAttributes | (readonly ? MOUNT_ATTR_RDONLY : 0);
  bind.propagation = MS_PRIVATE;
  return bind;
}

// v1 as Docker shows it: a folder with the container's own part of each hierarchy. v2: the tree as its cgroup namespace sees
// it.
void plan_cgroup(Plan& plan, const oci::Spec& spec, const std::string& target, const MountOptions& options,
                 const linux::Cgroup& cgroup) {
  std::vector<PlannedMount>& mounts = plan.container->mounts;
  bool readonly = (options.set & MOUNT_ATTR_RDONLY) != 0;
  if (linux::cgroup_layout().is_unified()) {
    if (namespace_is_new(spec, "cgroup")) {
      plan_filesystem(plan, {target, "cgroup2", "cgroup2", {}}, target,
                      {.set = kCgroupAttributes | (readonly ? MOUNT_ATTR_RDONLY : 0)});
    } else {
      mounts.push_back(bind_cgroup(plan, cgroup.folders().front().path, target, readonly));
    }
    return;
  }
  MountOptions folder{.set = kCgroupAttributes, .data = {{"mode", "755"}}};
  plan_filesystem(plan, {target, "tmpfs", "cgroup", {}}, target, folder);
  mounts.back().symlinks = Symlinks::kForbidden;
  for (const linux::CgroupFolder& each : cgroup.folders()) {
    mounts.push_back(bind_cgroup(plan, each.path, fmt::format("{}/{}", target, each.name), readonly));
    for (const std::string& controller : each.controllers) {
      if (each.controllers.size() > 1 && controller != each.name) {
        PlannedMount link;
        link.kind = MountKind::kSymlink;
        link.source = plan.texts.keep(each.name);
        link.target = plan.texts.keep(fmt::format("{}/{}", target, controller));
        mounts.push_back(std::move(link));
      }
    }
  }
  if (readonly) {
    PlannedMount seal;
    seal.kind = MountKind::kSetAttributes;
    seal.target = plan.texts.keep(target);
    seal.set = MOUNT_ATTR_RDONLY;
    mounts.push_back(std::move(seal));
  }
}

void plan_device(Plan& plan, const char* path, mode_t mode, int64_t major, int64_t minor, uid_t uid, gid_t gid) {
  if (major < 0 || minor < 0) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("device '{}' has no number", path));
  }
  plan.container->devices.push_back({plan.texts.keep(plain_target(path, "linux.devices.path")), mode,
                                     ::makedev(static_cast<unsigned>(major), static_cast<unsigned>(minor)), uid, gid});
}

void plan_devices(Plan& plan, const oci::Spec& spec) {
  // config-linux.md, "Default Devices".
  plan_device(plan, "/dev/null", S_IFCHR | 0666, 1, 3, 0, 0);
  plan_device(plan, "/dev/zero", S_IFCHR | 0666, 1, 5, 0, 0);
  plan_device(plan, "/dev/full", S_IFCHR | 0666, 1, 7, 0, 0);
  plan_device(plan, "/dev/random", S_IFCHR | 0666, 1, 8, 0, 0);
  plan_device(plan, "/dev/urandom", S_IFCHR | 0666, 1, 9, 0, 0);
  plan_device(plan, "/dev/tty", S_IFCHR | 0666, 5, 0, 0, 0);
  const size_t defaults = plan.container->devices.size();
  for (const oci::Device& device : spec.linux_.devices) {
    mode_t type = device.type == 'b' ? S_IFBLK : device.type == 'p' ? S_IFIFO : S_IFCHR;
    mode_t mode = type | (device.file_mode.value_or(0666) & 07777);
    plan_device(plan, device.path.c_str(), mode, device.major, device.minor, device.uid.value_or(0), device.gid.value_or(0));
    // A spec may name a default device: then its own words count, and once.
    std::string_view path = plan.container->devices.back().path;
    for (size_t i = 0; i < defaults; ++i) {
      if (plan.container->devices[i].path == path) {
        plan.container->devices[i] = plan.container->devices.back();
        plan.container->devices.pop_back();
        break;
      }
    }
  }
}

// A mount on a device's name is there in its place.
void drop_replaced_devices(ContainerPlan& container) {
  std::erase_if(container.devices, [&](const PlannedDevice& device) {
    return std::any_of(container.mounts.begin(), container.mounts.end(),
                       [&](const PlannedMount& mount) { return std::string_view(mount.target) == device.path; });
  });
}

void plan_made_paths(Plan& plan, const oci::Spec& spec) {
  for (const std::string& path : oci::made_paths(spec)) {
    const char* kept = plan.texts.keep(plain_target(path, oci::kMadePaths));
    const mode_t kind = path.ends_with('/') ? S_IFDIR : S_IFREG;
    plan.container->made.push_back({kept, kind});
  }
}

}  // namespace

void plan_mounts(Plan& plan, const oci::Spec& spec, const linux::Cgroup& cgroup) {
  if (!spec.linux_.mount_label.empty()) {
    throw Error(ErrorCode::kNotSupported, "'linux.mountLabel' is not supported");
  }
  plan.container->make_devices = true;
  for (const oci::Mount& mount : spec.mounts) {
    const MountOptions options = parse_mount_options(mount.options);
    const std::string target = plain_target(mount.destination, "mounts.destination");
    const bool bind = options.bind || mount.type == "bind";
    check_proc_target(target, mount.type, bind ? IsBind::kYes : IsBind::kNo);
    if (bind) {
      plan_bind(plan, mount, target, options, oci::has_exact_sources(spec));
      if (target == "/dev") {
        plan.container->make_devices = false;  // the host's own devices: not ours to change
      }
    } else if (mount.type == "cgroup" || mount.type == "cgroup2") {
      plan_cgroup(plan, spec, target, options, cgroup);
    } else if (mount.type.empty()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("the mount on '{}' has no type", mount.destination));
    } else {
      plan_filesystem(plan, mount, target, options);
    }
  }
  if (plan.container->make_devices) {
    plan_devices(plan, spec);
    drop_replaced_devices(*plan.container);
  }
  plan_made_paths(plan, spec);
  for (const std::string& path : spec.linux_.masked_paths) {
    plan.container->masked.push_back(plan.texts.keep(path));
  }
  for (const std::string& path : spec.linux_.readonly_paths) {
    plan.container->readonly.push_back(plan.texts.keep(path));
  }
}

}  // namespace bulkhead::runner
