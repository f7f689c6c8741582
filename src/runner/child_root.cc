#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

void mount_rootfs(const Child& child) {
  const ContainerPlan& container = *child.plan.container;
  uint32_t index = 0;
  for (const RootfsMount& mount : container.rootfs_mounts) {
    check(child, ::mount(mount.source, container.rootfs, mount.type, mount.flags, mount.data), Step::kRootfsMount, index);
    constexpr unsigned long kBindChanges = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if ((mount.flags & MS_BIND) != 0 &&
        (mount.flags & kBindChanges) != 0) {  // mount(2): a bind takes flags only when remounted
      unsigned long flags = (mount.flags & ~static_cast<unsigned long>(MS_REC)) | MS_REMOUNT;
      check(child, ::mount(nullptr, container.rootfs, nullptr, flags, nullptr), Step::kRootfsMount, index);
    }
    ++index;
  }
  if (container.rootfs_mounts.empty()) {  // pivot_root(2) wants a mount point
    check(child, ::mount(container.rootfs, container.rootfs, nullptr, MS_BIND | MS_REC, nullptr), Step::kRootfs);
    check(child, ::mount(nullptr, container.rootfs, nullptr, MS_PRIVATE | MS_REC, nullptr), Step::kRootfs);
  }
}

void pivot(const Child& child) {
  check(child, ::fchdir(child.root), Step::kPivot);
  // pivot_root(2), "pivot_root(".", ".")": the old root ends up on top of the new one, and is then unmounted.
  check(child, ::syscall(SYS_pivot_root, ".", "."), Step::kPivot);
  check(child, ::umount2(".", MNT_DETACH), Step::kPivot);
  check(child, ::chdir("/"), Step::kPivot);
}

// While the root can still be written: it may be read-only for the container.
void make_paths(const Child& child) {
  uint32_t index = 0;
  for (const MadePath& made : child.plan.container->made) {
    int fd = make_in_root(child.root, made.path, made.kind);
    check(child, fd, Step::kMakePath, index++);
    ::close(fd);
  }
  int cwd = open_in_root(child.root, child.plan.process.cwd, O_PATH);
  if (cwd < 0 && errno == ENOENT) {  // anything else is chdir's to tell
    cwd = make_in_root(child.root, child.plan.process.cwd, S_IFDIR);
    check(child, cwd, Step::kMakeCwd);
  }
  if (cwd >= 0) {
    ::close(cwd);
  }
}

}  // namespace

void build_root(Child& child) {
  ContainerPlan& container = *child.plan.container;
  open_mount_sources(child);
  // SECURITY: nothing mounted from here on is seen by the host, and the unmount of the old root in `pivot` doesn't reach it.
  // The sources that are to be heard there (shared), or to hear from there (slave), were cloned while they were still its
  // peers.
  check(child, ::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr), Step::kPropagation);
  mount_rootfs(child);
  child.root = ::open(container.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
  check(child, child.root, Step::kRootfs);
  attach_mounts(child);
  if (container.make_devices) {
    make_devices(child);
  }
  if (child.plan.process.terminal) {
    open_terminal(child);
  }
  mask_paths(child);
  make_paths(child);
  pivot(child);
  if (container.readonly_root) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    check(child, ::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof(attributes)), Step::kReadonlyRoot);
  }
  if (container.root_propagation != 0) {
    check(child, ::mount(nullptr, "/", nullptr, container.root_propagation, nullptr), Step::kRootPropagation);
  }
}

}  // namespace bulkhead::runner
