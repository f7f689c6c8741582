#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

// In a user namespace mknod(2) is refused: the host's own node is bound instead.
void bind_device(const Child& child, const PlannedDevice& device, uint32_t index) {
  int tree = ::open_tree(AT_FDCWD, device.path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  check(child, tree, Step::kDevice, index);
  struct stat status {};
  if (::fstat(tree, &status) != 0 || (status.st_mode & S_IFMT) != (device.mode & S_IFMT) || status.st_rdev != device.device) {
    fail(child, Step::kDevice, index, ENODEV);
  }
  int target = make_in_root(child.root, device.path, S_IFREG);
  check(child, target, Step::kDevice, index);
  check(child, ::move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), Step::kDevice, index);
  ::close(tree);
  ::close(target);
}

void make_node(const Child& child, const PlannedDevice& device, uint32_t index) {
  const char* name = nullptr;
  int parent = make_parent_in_root(child.root, device.path, &name);
  check(child, parent, Step::kDevice, index);
  if (::mknodat(parent, name, device.mode, device.device) != 0) {
    // Something is there already (a volume over /dev/..., a device named twice): ours takes its place.
    if (errno != EEXIST || ::unlinkat(parent, name, 0) != 0) {
      fail(child, Step::kDevice, index);
    }
    check(child, ::mknodat(parent, name, device.mode, device.device), Step::kDevice, index);
  }
  if (device.uid != 0 || device.gid != 0) {
    check(child, ::fchownat(parent, name, device.uid, device.gid, AT_SYMLINK_NOFOLLOW), Step::kDevice, index);
  }
  ::close(parent);
}

void make_links(const Child& child) {
  static constexpr std::array<std::pair<const char*, const char*>, 5> kLinks{{
      {"fd", "/proc/self/fd"},
      {"stdin", "/proc/self/fd/0"},
      {"stdout", "/proc/self/fd/1"},
      {"stderr", "/proc/self/fd/2"},
      {"ptmx", "pts/ptmx"},
  }};
  int dev = make_in_root(child.root, "/dev", S_IFDIR);
  check(child, dev, Step::kDeviceLink);
  for (const auto& [name, text] : kLinks) {
    if (::symlinkat(text, dev, name) != 0 && errno != EEXIST) {
      fail(child, Step::kDeviceLink);
    }
  }
  if (::symlinkat("/proc/kcore", dev, "core") != 0 && errno != EEXIST) {
    fail(child, Step::kDeviceLink);
  }
  ::close(dev);
}

}  // namespace

void make_devices(Child& child) {
  const ContainerPlan& container = *child.plan.container;
  uint32_t index = 0;
  for (const PlannedDevice& device : container.devices) {
    if (container.user_namespace && !S_ISFIFO(device.mode)) {
      bind_device(child, device, index);
    } else {
      make_node(child, device, index);
    }
    ++index;
  }
  make_links(child);
}

}  // namespace bulkhead::runner
