#include "facts/local_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "support/files.h"

namespace bulkhead::facts {

bool is_served(std::string_view type) {
  static constexpr std::array<std::string_view, 8> kServed{"fuse", "nfs", "9p", "cifs", "smb", "ceph", "afs", "virtiofs"};
  return std::any_of(kServed.begin(), kServed.end(), [&](std::string_view each) { return type.starts_with(each); });
}

LocalFiles::LocalFiles(pid_t pid, const std::string& known)
    : pid_(pid), mounts_(parse_mountinfo(read_file(fmt::format("/proc/{}/mountinfo", pid), 16UL << 20), SIZE_MAX)) {
  for (MountEntry& each : parse_mountinfo(known, SIZE_MAX)) {
    each.id = 0;  // by now it may be another's
    mounts_.push_back(std::move(each));
  }
}

/// By the mount, or where the process doesn't see that (chroot(2)), by the file system.
bool LocalFiles::is_local(int fd) const {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status) != 0) {
    return false;
  }
  std::string device = fmt::format("{}:{}", status.stx_dev_major, status.stx_dev_minor);
  auto found = std::find_if(mounts_.begin(), mounts_.end(), [&](const auto& each) { return each.id == status.stx_mnt_id; });
  if (found == mounts_.end()) {
    found = std::find_if(mounts_.begin(), mounts_.end(), [&](const auto& each) { return each.device == device; });
  }
  return found != mounts_.end() && !is_served(found->type);
}

UniqueFd LocalFiles::open(const char* path, int flags) const {
  UniqueFd here(::open(fmt::format("/proc/{}/root", pid_).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::istringstream names{std::string(path)};
  for (std::string name; here && is_local(here.get()) && std::getline(names, name, '/');) {
    here.reset(::openat(here.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  struct stat status {};
  if (!here || !is_local(here.get()) || ::fstat(here.get(), &status) != 0 ||
      (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))) {
    return {};
  }
  return UniqueFd(::open(fmt::format("/proc/self/fd/{}", here.get()).c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

UniqueFd LocalFiles::open_folder(int parent, const char* name) const {
  UniqueFd folder(::openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder || !is_local(folder.get())) {
    return {};
  }
  return UniqueFd(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace bulkhead::facts
