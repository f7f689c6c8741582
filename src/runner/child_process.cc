// Everything that makes the process what the spec says, short of its command. Order matters: what needs privilege first, then
// the groups and user, then capabilities, then what would be lost by changing them.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

constexpr int kChannel = 3;

bool is_null_device(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == ::makedev(1, 3);
}

// The container's own null device rather than the host's: through /proc/self/fd its mode could be changed.
int own_null(int fallback) {
  int fd = ::open("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0 && is_null_device(fd)) {
    return fd;
  }
  if (fd >= 0) {
    ::close(fd);
  }
  return fallback;
}

void connect_streams(const Child& child) {
  const ProcessPlan& process = child.plan.process;
  for (int stream = 0; stream < 3; ++stream) {
    int from = child.terminal;
    if (!process.terminal) {
      from = process.streams[static_cast<size_t>(stream)].get();
      if (process.streams_null[static_cast<size_t>(stream)]) {
        from = own_null(from);
      } else if (process.uid != 0 && !is_null_device(from)) {
        // So that a program of another user can open /dev/stdout again; not every kind of file has an owner to change.
        [[maybe_unused]] int ignored = ::fchown(from, process.uid, static_cast<gid_t>(-1));
      }
    }
    check(child, ::dup3(from, stream, 0) < 0 ? -1 : 0, Step::kStreams, static_cast<uint32_t>(stream));
  }
  if (process.terminal) {
    check(child, ::ioctl(0, TIOCSCTTY, 0), Step::kTerminal);
  }
}

void set_apparmor(const Child& child) {
  const char* text = child.plan.process.apparmor;
  if (text == nullptr) {
    return;
  }
  // SECURITY: a procfs of our own: one of the container could be anything (CVE-2019-16884).
  int context = ::fsopen("proc", FSOPEN_CLOEXEC);
  check(child, context, Step::kApparmor);
  check(child, ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), Step::kApparmor);
  int proc = ::fsmount(context, FSMOUNT_CLOEXEC, 0);
  check(child, proc, Step::kApparmor);
  int fd = ::openat(proc, "thread-self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
  check(child, fd, Step::kApparmor);
  size_t size = 0;
  while (text[size] != '\0') {
    ++size;
  }
  check(child, ::write(fd, text, size), Step::kApparmor);
  ::close(fd);
  ::close(proc);
  ::close(context);
}

void set_rlimits(const Child& child) {
  uint32_t index = 0;
  for (const PlannedRlimit& wanted : child.plan.process.rlimits) {
    rlimit64 limit{wanted.limit.rlim_cur, wanted.limit.rlim_max};
    if (::syscall(SYS_prlimit64, 0, wanted.resource, &limit, nullptr) != 0) {
      rlimit64 current{};
      if (errno != EPERM || ::syscall(SYS_prlimit64, 0, wanted.resource, nullptr, &current) != 0) {
        fail(child, Step::kRlimit, index);
      }
      // This host doesn't let even root raise it (nr_open, a container around us): as much as there is.
      limit.rlim_max = limit.rlim_max < current.rlim_max ? limit.rlim_max : current.rlim_max;
      limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
      check(child, ::syscall(SYS_prlimit64, 0, wanted.resource, &limit, nullptr), Step::kRlimit, index);
    }
    ++index;
  }
}

void drop_bounding(const Child& child) {
  uint64_t keep = child.plan.process.capabilities.bounding;
  for (unsigned long capability = 0; capability < 64; ++capability) {
    if ((keep >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) {
        return;  // past the kernel's last one
      }
      fail(child, Step::kBounding);
    }
  }
}

void change_user(const Child& child) {
  const ProcessPlan& process = child.plan.process;
  check(child, ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), Step::kUser);
  if (process.set_groups) {
    check(child, ::syscall(SYS_setgroups, process.groups.size(), process.groups.data()), Step::kGroups);
  }
  check(child, ::syscall(SYS_setresgid, process.gid, process.gid, process.gid), Step::kUser);
  check(child, ::syscall(SYS_setresuid, process.uid, process.uid, process.uid), Step::kUser);
}

void set_capabilities(const Child& child) {
  const CapabilitySets& sets = child.plan.process.capabilities;
  uint64_t effective = sets.effective;
  uint64_t permitted = sets.permitted;
  if (child.plan.process.seccomp && !child.plan.process.no_new_privileges) {
    // seccomp(2) asks for CAP_SYS_ADMIN where no_new_privs isn't set, and must come last. execve(2) computes permitted and
    // effective anew from the bounding, inheritable and ambient sets (capabilities(7)), so this one doesn't outlive it.
    effective |= 1ULL << CAP_SYS_ADMIN;
    permitted |= 1ULL << CAP_SYS_ADMIN;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (unsigned half = 0; half < 2; ++half) {
    data[half].effective = static_cast<uint32_t>(effective >> (32 * half));
    data[half].permitted = static_cast<uint32_t>(permitted >> (32 * half));
    data[half].inheritable = static_cast<uint32_t>(sets.inheritable >> (32 * half));
  }
  check(child, ::syscall(SYS_capset, &header, data.data()), Step::kCapabilities);
  check(child, ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), Step::kCapabilities);
  for (unsigned long capability = 0; sets.ambient != 0 && capability < 64; ++capability) {
    if ((sets.ambient >> capability & 1) != 0) {
      check(child, ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), Step::kCapabilities);
    }
  }
}

// SECURITY: nothing of the host is open any more when paths of the container are walked without protection, as chdir and execve
// do (CVE-2024-21626, CVE-2016-9962).
void close_descriptors(Child& child) {
  if (child.channel != kChannel) {
    check(child, ::dup3(child.channel, kChannel, O_CLOEXEC) < 0 ? -1 : 0, Step::kCloseDescriptors);
    child.channel = kChannel;
  }
  check(child, ::syscall(SYS_close_range, kChannel + 1, ~0U, 0), Step::kCloseDescriptors);
}

bool enter_cwd(const Child& child) { return ::chdir(child.plan.process.cwd) == 0; }

void verify_cwd(const Child& child) {
  std::array<char, PATH_MAX> path;
  // getcwd(2): a folder outside the root is told as "(unreachable)/...".
  long size = ::syscall(SYS_getcwd, path.data(), path.size());
  if (size <= 0 || path[0] != '/') {
    fail(child, Step::kCwdOutside, 0, ENOENT);
  }
}

}  // namespace

void become_process(Child& child) {
  const ProcessPlan& process = child.plan.process;
  connect_streams(child);
  set_apparmor(child);
  set_rlimits(child);
  close_descriptors(child);
  bool inside = enter_cwd(child);
  drop_bounding(child);
  change_user(child);
  set_capabilities(child);
  if (!inside && !enter_cwd(child)) {  // a folder that only the user may enter (a network file system)
    fail(child, Step::kCwd);
  }
  verify_cwd(child);
  ::umask(process.umask);
  // After the last change of identity, which would clear it (prctl(2)). Where the parent ended before this, await() sees it.
  check(child, ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), Step::kParentDeath);
  if (process.no_new_privileges) {
    check(child, ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), Step::kNoNewPrivileges);
  }
}

}  // namespace bulkhead::runner
