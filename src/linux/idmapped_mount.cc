#include "linux/idmapped_mount.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/pidfd.h"
#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"

namespace bulkhead::linux {

UniqueFd make_user_namespace(uid_t first_id, uid_t count) {
  // A namespace comes with a process; this one waits until it is not needed any more.
  clone_args arguments{};
  int pidfd = -1;
  arguments.flags = CLONE_NEWUSER | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid < 0) {
    throw system_error("make a user namespace");
  }
  if (pid == 0) {
    for (;;) {
      ::pause();
    }
  }
  UniqueFd process(pidfd);
  auto end = ScopeGuard([&] {
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process.get()), &info, WEXITED);
  });
  std::string map = fmt::format("0 {} {}", first_id, count);
  write_existing(fmt::format("/proc/{}/uid_map", pid), map);
  write_existing(fmt::format("/proc/{}/gid_map", pid), map);
  return open_file(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

IdmappedMount make_idmapped_mount(const UniqueFd& source, Depth depth, uint64_t attributes, const UniqueFd& user_namespace) {
  unsigned recursive = depth == Depth::kWithMountsBelow ? static_cast<unsigned>(AT_RECURSIVE) : 0U;
  IdmappedMount made;
  made.mount.reset(::open_tree(source.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive));
  struct stat status {};
  if (!made.mount || ::fstat(made.mount.get(), &status) != 0) {
    throw system_error("copy its mount");
  }
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kNotSupported, "only folders and regular files can be; a socket or device has no meaning there");
  }
  made.is_folder = S_ISDIR(status.st_mode);
  mount_attr wanted{};
  wanted.attr_set = MOUNT_ATTR_IDMAP | attributes;
  wanted.propagation = MS_PRIVATE;
  wanted.userns_fd = static_cast<uint64_t>(user_namespace.get());
  if (::mount_setattr(made.mount.get(), "", AT_EMPTY_PATH | recursive, &wanted, sizeof(wanted)) != 0) {
    if (errno == EINVAL) {
      throw Error(ErrorCode::kNotSupported,
                  "its file system, or one mounted below it, can't translate owners (idmapped mounts)");
    }
    throw system_error("translate its owners");
  }
  return made;
}

}  // namespace bulkhead::linux
