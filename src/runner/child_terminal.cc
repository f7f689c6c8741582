// A pseudo-terminal of the container's own devpts, so that its name (/dev/pts/0) means the same inside.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

int open_master(const Child& child) {
  if (child.devpts >= 0) {
    return ::openat(child.devpts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  }
  int root = child.root >= 0 ? child.root : AT_FDCWD;
  int fd = open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
  struct stat status {};
  struct statfs filesystem {};
  // SECURITY: in an exec /dev/pts is whatever the container made of it: only a real multiplexer of a real devpts will do.
  if (fd >= 0 && (::fstat(fd, &status) != 0 || ::fstatfs(fd, &filesystem) != 0 || !S_ISCHR(status.st_mode) ||
                  status.st_rdev != ::makedev(5, 2) || filesystem.f_type != DEVPTS_SUPER_MAGIC)) {
    ::close(fd);
    errno = ENODEV;
    return -1;
  }
  return fd;
}

void bind_console(const Child& child) {
  int tree = ::open_tree(child.terminal, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  check(child, tree, Step::kConsole);
  int target = make_in_root(child.root, "/dev/console", S_IFREG);
  check(child, target, Step::kConsole);
  check(child, ::move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), Step::kConsole);
  ::close(tree);
  ::close(target);
}

}  // namespace

void open_terminal(Child& child) {
  const ProcessPlan& process = child.plan.process;
  int master = open_master(child);
  check(child, master, Step::kTerminal);
  int unlock = 0;
  check(child, ::ioctl(master, TIOCSPTLCK, &unlock), Step::kTerminal);
  // The other side by descriptor, not by a name that something else could have (TIOCGPTPEER, Linux 4.13).
  child.terminal = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  check(child, child.terminal, Step::kTerminal);
  if (process.rows != 0 || process.columns != 0) {
    winsize size{.ws_row = process.rows, .ws_col = process.columns, .ws_xpixel = 0, .ws_ypixel = 0};
    check(child, ::ioctl(child.terminal, TIOCSWINSZ, &size), Step::kTerminal);
  }
  check(child, ::fchown(child.terminal, process.uid, static_cast<gid_t>(-1)), Step::kTerminal);
  if (child.plan.container) {
    bind_console(child);
  }
  send_report(child, {.kind = ReportKind::kConsole}, master);
  ::close(master);
}

}  // namespace bulkhead::runner
