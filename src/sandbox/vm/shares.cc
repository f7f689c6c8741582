#include "sandbox/vm/shares.h"

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

namespace bulkhead::sandbox::vm {
namespace {

Share open_share(const ShareSpec& spec, int user_namespace) {
  unsigned recursive = spec.depth == Depth::kWithMountsBelow ? static_cast<unsigned>(AT_RECURSIVE) : 0U;
  std::string doing = fmt::format("share '{}' with a VM", spec.source.native());
  Share share;
  // SECURITY: open_tree(2) can't be told to follow no link.
  UniqueFd source = spec.links == Links::kNone ? open_exact_file(spec.source, O_PATH) : open_file(spec.source, O_PATH);
  share.mount.reset(::open_tree(source.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive));
  struct stat status {};
  if (!share.mount || ::fstat(share.mount.get(), &status) != 0) {
    throw system_error(doing);
  }
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kNotSupported,
                doing + ": only folders and regular files can be; a socket or device has no meaning there");
  }
  share.kind = S_ISDIR(status.st_mode) ? ShareKind::kFolder : ShareKind::kFile;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (spec.access == Access::kReadOnly) {
    attributes.attr_set |= MOUNT_ATTR_RDONLY;
  }
  attributes.propagation = MS_PRIVATE;
  attributes.userns_fd = static_cast<uint64_t>(user_namespace);
  if (::mount_setattr(share.mount.get(), "", AT_EMPTY_PATH | recursive, &attributes, sizeof(attributes)) != 0) {
    if (errno == EINVAL) {
      throw Error(ErrorCode::kNotSupported,
                  doing + ": its file system, or one mounted below it, can't translate owners (idmapped mounts)");
    }
    throw system_error(doing);
  }
  return share;
}

}  // namespace

UniqueFd make_user_namespace(uid_t first_id) {
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
  std::string map = fmt::format("0 {} {}", first_id, kJailIds);
  write_existing(fmt::format("/proc/{}/uid_map", pid), map);
  write_existing(fmt::format("/proc/{}/gid_map", pid), map);
  return open_file(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

std::vector<Share> open_shares(const std::vector<ShareSpec>& specs, int user_namespace) {
  std::vector<Share> shares;
  shares.reserve(specs.size());
  for (const ShareSpec& spec : specs) {
    shares.push_back(open_share(spec, user_namespace));
  }
  return shares;
}

}  // namespace bulkhead::sandbox::vm
