// Mounts by descriptor: each is made detached (open_tree, fsmount), given its attributes, and then moved onto a descriptor of
// its target (move_mount). No path of the image is ever given to mount(2).
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>

#include "runner/child.h"
#include "runner/proc_targets.h"

namespace bulkhead::runner {

namespace {

constexpr unsigned kClone = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;

int clone_tree(int fd, const char* path, bool recursive) {
  unsigned flags = kClone | (path[0] == '\0' ? AT_EMPTY_PATH : 0U) | (recursive ? AT_RECURSIVE : 0U);
  return ::open_tree(fd, path, flags);
}

// SECURITY: open_tree(2) can't be told to follow no link; who may write a folder above the source could lead it elsewhere.
int clone_exact_tree(const char* path, bool recursive) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  int source = static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
  if (source < 0) {
    return -1;
  }
  int tree = clone_tree(source, "", recursive);
  int error = errno;
  ::close(source);
  errno = error;
  return tree;
}

int set_attributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive) {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  return ::mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &attributes, sizeof(attributes));
}

void apply_attributes(const Child& child, const PlannedMount& mount, uint32_t index) {
  if (mount.set != 0 || mount.clear != 0) {
    check(child, set_attributes(mount.fd, mount.set, mount.clear, 0, false), Step::kMountAttributes, index);
  }
  if (mount.recursive_set != 0 || mount.recursive_clear != 0) {
    check(child, set_attributes(mount.fd, mount.recursive_set, mount.recursive_clear, 0, true), Step::kMountAttributes, index);
  }
  if (mount.propagation != 0) {
    check(child, set_attributes(mount.fd, 0, 0, mount.propagation, true), Step::kMountAttributes, index);
  }
}

int make_filesystem(const PlannedMount& mount) {
  int context = ::fsopen(mount.type, FSOPEN_CLOEXEC);
  if (context < 0) {
    return -1;
  }
  int result = 0;
  if (mount.source != nullptr) {
    result = ::fsconfig(context, FSCONFIG_SET_STRING, "source", mount.source, 0);
  }
  for (const FsOption& option : mount.options) {
    if (result != 0) {
      break;
    }
    result =
        ::fsconfig(context, option.value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, option.key, option.value, 0);
  }
  if (result == 0) {
    result = ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  }
  int fd = result == 0 ? ::fsmount(context, FSMOUNT_CLOEXEC, static_cast<unsigned>(mount.set & ~MOUNT_ATTR_NOSYMFOLLOW)) : -1;
  int error = errno;
  ::close(context);
  errno = error;
  return fd;
}

int attach(int mount, int target) {
  return ::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

mode_t kind_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? S_IFDIR : S_IFREG;
}

void make_symlink(const Child& child, const PlannedMount& mount, uint32_t index) {
  const char* name = nullptr;
  int parent = make_parent_in_root(child.root, mount.target, &name);
  check(child, parent, Step::kMountTarget, index);
  if (::symlinkat(mount.source, parent, name) != 0 && errno != EEXIST) {
    fail(child, Step::kMountTarget, index);
  }
  ::close(parent);
}

bool is_procfs_root(int fd) {
  constexpr ino_t kRoot = 1;  // PROC_ROOT_INO
  struct stat status {};
  struct statfs filesystem {};
  return ::fstat(fd, &status) == 0 && status.st_ino == kRoot && ::fstatfs(fd, &filesystem) == 0 &&
         filesystem.f_type == PROC_SUPER_MAGIC;
}

bool same_filesystem(int fd, int other) {
  struct stat status {
  }, status_of_other{};
  return ::fstat(fd, &status) == 0 && ::fstat(other, &status_of_other) == 0 && status.st_dev == status_of_other.st_dev;
}

// SECURITY: what check_proc_target can't know from the spec: what a bind's source is, and where a link of the image leads to.
void check_proc(const Child& child, const PlannedMount& mount, int target, uint32_t index) {
  if (std::strcmp(mount.target, "/proc") == 0 && !is_procfs_root(mount.fd)) {
    fail(child, Step::kNotProc, index, EINVAL);
  }
  if (!is_at_proc(mount.target) && child.proc >= 0 && same_filesystem(target, child.proc)) {
    fail(child, Step::kInsideProc, index, EINVAL);
  }
}

void attach_mount(Child& child, PlannedMount& mount, uint32_t index) {
  if (mount.kind == MountKind::kSymlink) {
    make_symlink(child, mount, index);
    return;
  }
  uint64_t resolve = mount.symlinks == Symlinks::kForbidden ? RESOLVE_NO_SYMLINKS : 0;
  if (mount.kind == MountKind::kSetAttributes) {
    mount.fd = open_in_root(child.root, mount.target, O_PATH, resolve);
    check(child, mount.fd, Step::kMountTarget, index);
    apply_attributes(child, mount, index);
    ::close(mount.fd);
    return;
  }
  if (mount.fd < 0) {
    mount.fd = make_filesystem(mount);
    check(child, mount.fd, Step::kFilesystem, index);
    if (mount.propagation != 0 || mount.recursive_set != 0 || (mount.set & MOUNT_ATTR_NOSYMFOLLOW) != 0) {
      apply_attributes(child, mount, index);
    }
  }
  int target = make_in_root(child.root, mount.target, mount.kind == MountKind::kBind ? kind_of(mount.fd) : S_IFDIR, resolve);
  check(child, target, Step::kMountTarget, index);
  check_proc(child, mount, target, index);
  check(child, attach(mount.fd, target), Step::kMountAttach, index);
  ::close(target);
  bool is_devpts = mount.type != nullptr && std::strcmp(mount.type, "devpts") == 0;
  if (is_devpts && std::strcmp(mount.target, "/dev/pts") == 0) {
    child.devpts = mount.fd;
  } else if (mount.fd != child.proc) {
    ::close(mount.fd);
  }
}

// The host's null device as a read-only mount: reads give nothing, writes vanish, and its mode and owner can't be changed.
int open_null(const Child& child) {
  int fd = ::open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status {};
  // SECURITY: CVE-2025-31133: a mask made of something that only looks like /dev/null uncovers what it should hide.
  if (fd < 0 || ::fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode) || status.st_rdev != ::makedev(1, 3)) {
    fail(child, Step::kNullDevice, 0, fd < 0 ? errno : ENODEV);
  }
  int tree = clone_tree(fd, "", false);
  check(child, tree, Step::kNullDevice);
  check(child, set_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE, false),
        Step::kNullDevice);
  ::close(fd);
  return tree;
}

int make_empty_folder(const Child& child, uint32_t index) {
  PlannedMount mount;
  mount.type = "tmpfs";
  mount.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  int fd = make_filesystem(mount);
  check(child, fd, Step::kMask, index);
  return fd;
}

struct Masks {
  int file, folder = -1;  // detached until first used, then the source of clones
  bool file_used = false, folder_used = false;
};

void mask_one(const Child& child, Masks& masks, const char* path, uint32_t index) {
  int target = open_in_root(child.root, path, O_PATH);
  if (target < 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return;  // nothing there to hide
    }
    fail(child, Step::kMask, index);
  }
  bool folder = kind_of(target) == S_IFDIR;
  int& source = folder ? masks.folder : masks.file;
  bool& used = folder ? masks.folder_used : masks.file_used;
  if (source < 0) {
    source = make_empty_folder(child, index);
  }
  int mount = used ? clone_tree(source, "", false) : source;
  check(child, mount, Step::kMask, index);
  check(child, attach(mount, target), Step::kMask, index);
  if (used) {
    ::close(mount);
  }
  used = true;
  ::close(target);
}

void make_readonly(const Child& child, const char* path, uint32_t index) {
  int target = open_in_root(child.root, path, O_PATH);
  if (target < 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return;
    }
    fail(child, Step::kReadonlyPath, index);
  }
  int tree = clone_tree(target, "", true);
  check(child, tree, Step::kReadonlyPath, index);
  check(child, set_attributes(tree, MOUNT_ATTR_RDONLY, 0, 0, true), Step::kReadonlyPath, index);
  check(child, attach(tree, target), Step::kReadonlyPath, index);
  ::close(tree);
  ::close(target);
}

void write_sysctls(const Child& child) {
  int proc = child.proc;
  if (proc < 0) {
    PlannedMount mount;
    mount.type = "proc";
    proc = make_filesystem(mount);
    check(child, proc, Step::kSysctlMount);
  }
  uint32_t index = 0;
  for (const PlannedSysctl& sysctl : child.plan.container->sysctls) {
    // SECURITY: CVE-2025-52881: a procfs that is attached nowhere yet, so nothing can be mounted over the file.
    int fd = ::openat(proc, sysctl.path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    check(child, fd, Step::kSysctl, index);
    check(child, ::write(fd, sysctl.value, sysctl.size), Step::kSysctl, index);
    ::close(fd);
    ++index;
  }
  if (proc != child.proc) {
    ::close(proc);
  }
}

}  // namespace

void open_mount_sources(Child& child) {
  uint32_t index = 0;
  for (PlannedMount& mount : child.plan.container->mounts) {
    if (mount.kind == MountKind::kBind) {
      mount.fd = mount.exact_source ? clone_exact_tree(mount.source, mount.recursive_bind)
                                    : clone_tree(AT_FDCWD, mount.source, mount.recursive_bind);
      check(child, mount.fd, Step::kMountSource, index);
      apply_attributes(child, mount, index);
    } else if (mount.kind == MountKind::kFilesystem && child.proc < 0 && std::strcmp(mount.type, "proc") == 0) {
      mount.fd = make_filesystem(mount);
      check(child, mount.fd, Step::kFilesystem, index);
      child.proc = mount.fd;
    }
    ++index;
  }
  if (!child.plan.container->sysctls.empty()) {
    write_sysctls(child);
  }
}

void attach_mounts(Child& child) {
  uint32_t index = 0;
  for (PlannedMount& mount : child.plan.container->mounts) {
    attach_mount(child, mount, index++);
  }
}

void mask_paths(Child& child) {
  const ContainerPlan& container = *child.plan.container;
  uint32_t index = 0;
  for (const char* path : container.readonly) {
    make_readonly(child, path, index++);
  }
  if (container.masked.empty()) {
    return;
  }
  Masks masks{.file = open_null(child)};
  index = 0;
  for (const char* path : container.masked) {
    mask_one(child, masks, path, index++);
  }
}

}  // namespace bulkhead::runner
