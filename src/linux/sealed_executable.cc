#include "linux/sealed_executable.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead::linux {

UniqueFd open_sealed(const std::filesystem::path& program) {
  UniqueFd tree(::open_tree(AT_FDCWD, program.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) {
    throw system_error(fmt::format("clone the mount of '{}'", program.native()));
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0) {
    throw system_error(fmt::format("make the mount of '{}' read-only", program.native()));
  }
  return tree;
}

bool executable_is_sealed() {
  struct statvfs status {};
  return ::statvfs("/proc/self/exe", &status) == 0 && (status.f_flag & ST_RDONLY) != 0;
}

void seal_executable(char* const argv[]) {
  if (executable_is_sealed()) {
    return;
  }
  UniqueFd tree = open_sealed("/proc/self/exe");
  ::execveat(tree.get(), "", argv, environ, AT_EMPTY_PATH);
  throw system_error("execute the own program again");
}

}  // namespace bulkhead::linux
