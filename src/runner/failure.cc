#include "runner/failure.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

#include "runner/proc_targets.h"

namespace bulkhead::runner {

namespace {

// Docker's daemon passes on what Go says, in lower case; its clients know these words.
std::string reason(int error) {
  switch (error) {
    case ENOENT: return "no such file or directory";
    case EACCES: return "permission denied";
    case EPERM: return "operation not permitted";
    case ENOEXEC: return "exec format error";
    case EISDIR: return "is a directory";
    case ENOTDIR: return "not a directory";
    case ELOOP: return "too many levels of symbolic links";
    default: return std::error_code(error, std::generic_category()).message();
  }
}

ErrorCode code_of_command(int error) {
  return error == ENOENT || error == ENOTDIR ? ErrorCode::kCommandNotFound : ErrorCode::kCannotExecute;
}

Error lookup_failure(const Plan& plan, const Report& report) {
  std::string command = plan.process.argv.front();
  if (command.find('/') == std::string::npos) {
    return {ErrorCode::kCommandNotFound, fmt::format("exec: \"{}\": executable file not found in $PATH", command)};
  }
  if (code_of_command(report.error) == ErrorCode::kCommandNotFound) {
    return {ErrorCode::kCommandNotFound, fmt::format("exec: \"{}\": stat {}: {}", command, command, reason(report.error))};
  }
  return {ErrorCode::kCannotExecute, fmt::format("exec: \"{}\": {}", command, reason(report.error))};
}

std::string mount_name(const Plan& plan, uint32_t index) {
  const PlannedMount& mount = plan.container->mounts.at(index);
  const char* what = mount.kind == MountKind::kBind ? mount.source : mount.type == nullptr ? "link" : mount.type;
  return fmt::format("'{}' on '{}'", what, mount.target);
}

std::string doing_mount(const Plan& plan, const Report& report) {
  const std::string name = mount_name(plan, report.index);
  switch (report.step) {
    case Step::kMountSource: return fmt::format("open the source of mount {}", name);
    case Step::kFilesystem: return fmt::format("make the file system of mount {}", name);
    case Step::kMountTarget: return fmt::format("open the target of mount {} inside the root filesystem", name);
    case Step::kMountAttributes: return fmt::format("set the options of mount {}", name);
    default: return fmt::format("mount {}", name);
  }
}

std::string doing_container(const Plan& plan, const Report& report) {
  const ContainerPlan& container = *plan.container;
  switch (report.step) {
    case Step::kHostname: return fmt::format("set the host name '{}'", container.hostname);
    case Step::kDomainname: return fmt::format("set the domain name '{}'", container.domainname);
    case Step::kRootfsMount: {
      const RootfsMount& mount = container.rootfs_mounts.at(report.index);
      return fmt::format("mount {} on '{}'", mount.type == nullptr ? mount.source : mount.type, container.rootfs);
    }
    case Step::kRootfs: return fmt::format("open the root filesystem '{}'", container.rootfs);
    case Step::kSysctl: return fmt::format("set sysctl '{}'", container.sysctls.at(report.index).path);
    case Step::kDevice: return fmt::format("make device '{}'", container.devices.at(report.index).path);
    case Step::kMask: return fmt::format("mask '{}'", container.masked.at(report.index));
    case Step::kReadonlyPath: return fmt::format("make '{}' read-only", container.readonly.at(report.index));
    case Step::kMakePath: return fmt::format("make '{}'", container.made.at(report.index).path);
    case Step::kMountSource:
    case Step::kFilesystem:
    case Step::kMountTarget:
    case Step::kMountAttributes:
    case Step::kMountAttach: return doing_mount(plan, report);
    default: return "build the container";
  }
}

std::string doing(const Plan& plan, const Report& report) {
  switch (report.step) {
    case Step::kUserNamespace: return "become root of the user namespace";
    case Step::kEnterCgroup: return "enter the container's cgroup";
    case Step::kSession: return "make a session";
    case Step::kJoinNamespace:
      return plan.container ? fmt::format("join namespace '{}'", plan.container->joins.at(report.index).path)
                            : "join the container's namespaces";
    case Step::kCgroupNamespace: return "make a cgroup namespace";
    case Step::kPropagation: return "set the propagation of mounts";
    case Step::kSysctlMount: return "make a procfs for sysctls";
    case Step::kDeviceLink: return "make the links in '/dev'";
    case Step::kTerminal: return "open a terminal";
    case Step::kConsole: return "bind '/dev/console'";
    case Step::kNullDevice: return "open the host's '/dev/null'";
    case Step::kPivot: return "pivot_root";
    case Step::kReadonlyRoot: return "make the root filesystem read-only";
    case Step::kRootPropagation: return "set the propagation of the root filesystem";
    case Step::kStreams: return "connect the standard streams";
    case Step::kApparmor: return fmt::format("set AppArmor profile '{}'", plan.process.apparmor);
    case Step::kRlimit: return fmt::format("set {}", plan.process.rlimits.at(report.index).name);
    case Step::kMakeCwd: return fmt::format("make the working directory '{}'", plan.process.cwd);
    case Step::kBounding: return "drop capabilities from the bounding set";
    case Step::kGroups: return "set the supplementary groups";
    case Step::kUser: return fmt::format("become user {}:{}", plan.process.uid, plan.process.gid);
    case Step::kCapabilities: return "set the capabilities";
    case Step::kParentDeath: return "bind the process's life to its shim's";
    case Step::kNoNewPrivileges: return "set no_new_privs";
    case Step::kCloseDescriptors: return "close inherited descriptors";
    case Step::kSeccomp: return "load the seccomp filter";
    default: return doing_container(plan, report);
  }
}

}  // namespace

Error describe(const Plan& plan, const Report& report) {
  switch (report.step) {
    case Step::kLookup: return lookup_failure(plan, report);
    case Step::kExecute:
      return {code_of_command(report.error), fmt::format("exec {}: {}", plan.process.argv.front(), reason(report.error))};
    case Step::kNotProc: return not_proc(plan.container->mounts.at(report.index).target);
    case Step::kInsideProc: return inside_proc(plan.container->mounts.at(report.index).target);
    case Step::kCwd:  // ENOTDIR: it is there, and is something else
      return {report.error == ENOENT ? ErrorCode::kCommandNotFound : ErrorCode::kCannotExecute,
              fmt::format("chdir to cwd (\"{}\") set in config.json failed: {}", plan.process.cwd, reason(report.error))};
    case Step::kCwdOutside:
      return {ErrorCode::kPermissionDenied,
              fmt::format("the working directory '{}' is outside of the container", plan.process.cwd)};
    default: return system_error(doing(plan, report), report.error);
  }
}

}  // namespace bulkhead::runner
