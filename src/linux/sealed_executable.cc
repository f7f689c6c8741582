#include "linux/sealed_executable.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead::linux {

bool executable_is_sealed() {
  struct statvfs status {};
  return ::statvfs("/proc/self/exe", &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

void seal_executable(char* const argv[]) {
  if (executable_is_sealed()) {
    return;
  }
  UniqueFd tree(::open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) {
    throw system_error("clone the mount of the own program");
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0) {
    throw system_error("make the mount of the own program read-only");
  }
  ::execveat(tree.get(), "", argv, environ, AT_EMPTY_PATH);
  throw system_error("execute the own program again");
}

}  // namespace bulkhead::linux
