#include "archive/root.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "archive/archive_path.h"
#include "support/error.h"

namespace bulkhead::archive {
namespace {

constexpr size_t kMaxLink = 4096;  // PATH_MAX

/// A link's text, of an O_PATH descriptor of the link itself (readlinkat(2), empty path).
std::string link_text(int fd) {
  std::array<char, kMaxLink> text{};
  ssize_t size = ::readlinkat(fd, "", text.data(), text.size());
  return size < 0 ? "" : std::string(text.data(), static_cast<size_t>(size));
}

/// The path of what a descriptor holds. In another mount namespace the kernel says it from that namespace's root on, which is
/// the container's.
std::string path_of(int fd) {
  std::array<char, kMaxLink> text{};
  ssize_t size = ::readlink(through_descriptor(fd).c_str(), text.data(), text.size());
  return size <= 0 ? "" : std::string(text.data(), static_cast<size_t>(size));
}

/// Where the link at `path` leads to in the end; what of it can be said where that doesn't exist.
std::string final_target(int root, const std::string& path, int link) {
  UniqueFd root_now = open_in_root(root, "/", O_PATH);
  std::string prefix = root_now ? path_of(root_now.get()) : "";
  auto inside = [&](const std::string& seen) {
    bool below = prefix.size() > 1 && seen.starts_with(prefix);
    std::string rest = below ? seen.substr(prefix.size()) : seen;
    return rest.empty() ? "/" : rest;
  };
  if (UniqueFd target = open_in_root(root, path, O_PATH)) {
    return inside(path_of(target.get()));
  }
  std::filesystem::path text = link_text(link);
  UniqueFd folder = open_in_root(root, std::filesystem::path(path).parent_path(), O_PATH);
  std::filesystem::path start = folder ? inside(path_of(folder.get())) : "/";
  return (text.is_absolute() ? text : start / text).lexically_normal().native();
}

}  // namespace

UniqueFd open_in_root(int root, const std::string& path, uint64_t flags, uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  // EAGAIN: something was renamed meanwhile, and the kernel can't tell whether ".." still led below the root.
  constexpr int kAttempts = 100;
  for (int attempt = 0;; ++attempt) {
    auto fd = static_cast<int>(::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof(how)));
    if (fd >= 0 || errno != EAGAIN || attempt == kAttempts) {
      return UniqueFd(fd);
    }
  }
}

bool is_kernel_file_system(int fd) {
  // No header for programs has these three: the kernel's ipc/mqueue.c, fs/configfs/mount.c, fs/fuse/control.c.
  constexpr unsigned long kMqueueMagic = 0x19800202;
  constexpr unsigned long kConfigfsMagic = 0x62656570;
  constexpr unsigned long kFusectlMagic = 0x65735543;
  static constexpr std::array<unsigned long, 15> kKinds = {
      PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC,
      DEBUGFS_MAGIC,    TRACEFS_MAGIC,  BPF_FS_MAGIC,       SELINUX_MAGIC,       BINFMTFS_MAGIC,
      EFIVARFS_MAGIC,   PSTOREFS_MAGIC, kMqueueMagic,       kConfigfsMagic,      kFusectlMagic,
  };
  struct statfs info {};
  return ::fstatfs(fd, &info) == 0 &&
         std::find(kKinds.begin(), kKinds.end(), static_cast<unsigned long>(info.f_type)) != kKinds.end();
}

std::string through_descriptor(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

uint64_t mount_id(int fd) {
  struct statx info {};
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) == 0 ? info.stx_mnt_id : 0;
}

void fail_at(const std::string& path, const char* doing) {
  int error = errno;
  std::string where = fmt::format("{} '{}' in the container", doing, printable(path));
  if (error == ELOOP || error == ENOTDIR || error == ENAMETOOLONG) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {}", where,
                                                         error == ELOOP     ? "too many levels of symbolic links"
                                                         : error == ENOTDIR ? "not a directory"
                                                                            : "file name too long"));
  }
  errno = error;
  throw system_error(where);
}

PathStat stat_path(int root, const std::string& path) {
  UniqueFd found = open_in_root(root, path, O_PATH | O_NOFOLLOW);
  struct stat info {};
  if (!found || ::fstat(found.get(), &info) != 0) {
    fail_at(path, "stat");
  }
  PathStat result{.name = base_name(path),
                  .size = static_cast<uint64_t>(info.st_size),
                  .mode = info.st_mode,
                  .mtime = info.st_mtim,
                  .link_target = {}};
  if (S_ISLNK(info.st_mode)) {
    result.link_target = final_target(root, path, found.get());
  }
  return result;
}

std::optional<std::string> read_in_root(int root, const std::string& path, size_t limit) {
  UniqueFd found = open_in_root(root, path, O_PATH);
  struct stat info {};
  if (!found || ::fstat(found.get(), &info) != 0 || !S_ISREG(info.st_mode) || is_kernel_file_system(found.get())) {
    return std::nullopt;
  }
  UniqueFd file(::open(through_descriptor(found.get()).c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(limit, '\0');
  size_t used = 0;
  while (file && used < limit) {
    ssize_t count = ::read(file.get(), text.data() + used, limit - used);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      break;
    }
    used += static_cast<size_t>(count);
  }
  text.resize(used);
  return file ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace bulkhead::archive
