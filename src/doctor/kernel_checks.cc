// What containers ask of the kernel that they share.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>

#include "doctor/doctor.h"
#include "doctor/trial.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::doctor {
namespace {

Check check_root() {
  bool is_root = ::geteuid() == 0;
  return {.health = is_root ? Health::kOk : Health::kMissing,
          .subject = "root",
          .found = is_root ? "yes" : "the engine makes namespaces, mounts and cgroups: it runs as root; so must this",
          .remedy = is_root ? "" : rights_remedy()};
}

/// The newest of the system calls that this project stands on, each called so that it can only fail: ENOSYS where the kernel,
/// or what filters its calls, doesn't have it.
Check check_kernel() {
  struct Call {
    const char* name;
    long number;
  };
  constexpr std::array kCalls = {Call{"clone3", SYS_clone3}, Call{"openat2", SYS_openat2}, Call{"close_range", SYS_close_range},
                                 Call{"mount_setattr", SYS_mount_setattr}, Call{"pidfd_open", SYS_pidfd_open}};
  std::string missing;
  for (const Call& call : kCalls) {
    if (::syscall(call.number, -1, 0, -1, 0, 0, 0) < 0 && (errno == ENOSYS || errno == EPERM)) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", call.name);
    }
  }
  utsname names{};
  ::uname(&names);
  if (missing.empty()) {
    return {.subject = "kernel", .found = fmt::format("Linux {} {}", names.release, names.machine), .remedy = {}};
  }
  return {.health = Health::kMissing,
          .subject = "kernel",
          .found = fmt::format("Linux {} has no {}", names.release, missing),
          .remedy = "use Linux 5.12 or newer (and let what runs this pass these system calls)"};
}

Check check_namespaces() {
  struct Kind {
    const char* name;
    int flag;
  };
  constexpr std::array kKinds = {Kind{"mount", CLONE_NEWNS}, Kind{"pid", CLONE_NEWPID}, Kind{"network", CLONE_NEWNET},
                                 Kind{"ipc", CLONE_NEWIPC},  Kind{"uts", CLONE_NEWUTS}, Kind{"cgroup", CLONE_NEWCGROUP}};
  std::string found, failed;
  std::optional<Failure> first;
  for (const Kind& kind : kKinds) {
    if (auto why = try_in_child([&] { enter_namespaces(kind.flag); })) {
      failed += fmt::format("{}{} ({})", failed.empty() ? "" : ", ", kind.name, why->why);
      first = first ? first : why;
    } else {
      found += fmt::format("{}{}", found.empty() ? "" : ", ", kind.name);
    }
  }
  if (failed.empty()) {
    return {.subject = "namespaces", .found = found, .remedy = {}};
  }
  return {.health = Health::kMissing,
          .subject = "namespaces",
          .found = "can't be made: " + failed,
          .remedy = remedy_of(first, "use a kernel with CONFIG_NAMESPACES and all kinds")};
}

/// An overlay of three folders on a tmpfs of this trial's own.
void mount_overlay() {
  enter_namespaces(CLONE_NEWNS);
  if (::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) != 0) {
    throw system_error("mount a tmpfs");
  }
  for (const char* folder : {"/tmp/lower", "/tmp/upper", "/tmp/work", "/tmp/merged"}) {
    make_folders(folder);
  }
  if (::mount("overlay", "/tmp/merged", "overlay", 0, "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") != 0) {
    throw system_error("mount an overlay");
  }
}

Check check_overlayfs() {
  auto why = try_in_child(mount_overlay);
  return {.health = why ? Health::kMissing : Health::kOk,
          .subject = "overlayfs",
          .found = why ? why->why : "an overlay was mounted",
          .remedy = remedy_of(why, "modprobe overlay")};
}

Check check_seccomp() {
  uint32_t action = SECCOMP_RET_ERRNO;
  bool available = ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
  return {.health = available ? Health::kOk : Health::kMissing,
          .subject = "seccomp filters",
          .found = available ? "yes" : "this kernel filters no system calls",
          .remedy = available ? "" : "use a kernel with CONFIG_SECCOMP_FILTER"};
}

Check check_init() {
  // As engine/engine.cc looks for it.
  std::string program = find_program({"/usr/bin/tini-static", "/usr/libexec/docker/docker-init", "/usr/bin/docker-init",
                                      "/usr/sbin/docker-init", "/usr/libexec/podman/catatonit", "/usr/bin/catatonit"});
  return {.health = program.empty() ? Health::kWeak : Health::kOk,
          .subject = "init for --init",
          .found = program.empty() ? "none is installed: containers can't be run with --init" : program,
          .remedy = program.empty() ? "apt install tini" : ""};
}

}  // namespace

Checks kernel_checks() {
  return {check_root(), check_kernel(), check_namespaces(), check_overlayfs(), check_seccomp(), check_init()};
}

}  // namespace bulkhead::doctor
