#include "archive/unpacker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archive/archive_path.h"
#include "support/error.h"
#include "support/files.h"
#include "support/remove_tree.h"

namespace bulkhead::archive {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";
constexpr std::string_view kAufsPrefix = ".wh..wh.";
// SECURITY: a bound on what one archive makes us keep of it in memory (a folder's time) and do.
constexpr uint64_t kMaxEntries = 8'000'000;
constexpr size_t kMaxOpenFolders = 64;
constexpr mode_t kPermissions = 01777;  // what open(2) and mkdir(2) take; the set-id bits need chmod(2)

/// openat2(2), below `root` as if that were "/". -1 and errno where it fails.
int open_in_root(int root, const char* path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof(how)));
}

std::string through_proc(int folder, const std::string& name) { return fmt::format("/proc/self/fd/{}/{}", folder, name); }

/// What a layer may set. SECURITY: trusted.overlay.* and user.overlay.* would let an image steer overlayfs (redirects to other
/// paths, opaque folders); the labels of security modules are this host's affair.
bool is_welcome_xattr(std::string_view name) {
  return name == "security.capability" || name == "system.posix_acl_access" || name == "system.posix_acl_default" ||
         (name.starts_with("user.") && !name.starts_with("user.overlay."));
}

[[noreturn]] void fail(const std::string& path, const char* doing) {
  throw system_error(fmt::format("unpack '{}': {}", printable(path), doing));
}

}  // namespace

Unpacker::Unpacker(int root) : root_(root) {
  if (::unshare(CLONE_FS) != 0) {
    throw system_error("unpack: unshare the umask");
  }
  ::umask(0);
}

int64_t Unpacker::unpack(TarReader& reader) {
  uint64_t count = 0;
  for (TarEntry entry; reader.next(entry);) {
    if (++count > kMaxEntries) {
      throw Error(ErrorCode::kDataLoss, fmt::format("archive has more than {} entries", kMaxEntries));
    }
    unpack_entry(reader, entry);
  }
  set_folder_times();
  folders_.clear();
  return bytes_;
}

void Unpacker::unpack_entry(TarReader& reader, const TarEntry& entry) {
  std::string path = clean_archive_path(entry.name);
  if (path.empty()) {
    set_root(entry);
    return;
  }
  if (split_path(path).second.starts_with(kWhiteoutPrefix)) {
    whiteout(resolve(path));
    return;
  }
  Place place = resolve(path);
  switch (entry.type) {
    case TarEntry::Type::kFolder: make_folder(place, entry); break;
    case TarEntry::Type::kFile: make_file(reader, place, entry); break;
    case TarEntry::Type::kHardLink: make_hard_link(place, entry); break;
    case TarEntry::Type::kSymlink:
    case TarEntry::Type::kCharacterDevice:
    case TarEntry::Type::kBlockDevice:
    case TarEntry::Type::kFifo: make_node(place, entry); break;
  }
}

Unpacker::Folder Unpacker::open_folder(const std::string& path) {
  if (auto found = folders_.find(path); found != folders_.end()) {
    return found->second;
  }
  int fd = open_in_root(root_, path.empty() ? "." : path.c_str(), O_PATH | O_DIRECTORY);
  if (fd < 0) {
    return nullptr;
  }
  if (folders_.size() >= kMaxOpenFolders) {
    folders_.clear();
  }
  return folders_[path] = std::make_shared<UniqueFd>(fd);
}

/// Archives may leave the folders out that an entry lies in: they become root's, 0755.
Unpacker::Folder Unpacker::make_parent(const std::string& path) {
  if (Folder folder = open_folder(path)) {
    return folder;
  }
  if (errno != ENOENT && errno != ENOTDIR) {
    fail(path, "open the folder");
  }
  auto [parent_path, name] = split_path(path);
  Place place{.parent = make_parent(std::string(parent_path)), .name = std::string(name), .path = path};
  bool hidden = false;
  if (::mkdirat(place.parent->get(), place.name.c_str(), 0755) != 0) {
    if (errno == EEXIST && is_whiteout(place)) {
      hidden = replacing(place, "create a folder", [&] { return ::mkdirat(place.parent->get(), place.name.c_str(), 0755); });
    } else if (errno == EEXIST) {
      throw Error(ErrorCode::kDataLoss,
                  fmt::format("unpack: '{}' has entries below it, but is no folder in this layer", printable(path)));
    } else {
      fail(path, "create the folder");
    }
  }
  Folder folder = open_folder(path);
  if (!folder) {
    fail(path, "open the folder");
  }
  if (hidden) {
    make_opaque(folder);
  }
  return folder;
}

Unpacker::Place Unpacker::resolve(const std::string& path) {
  auto [parent, name] = split_path(path);
  return {.parent = make_parent(std::string(parent)), .name = std::string(name), .path = path};
}

bool Unpacker::is_whiteout(const Place& place) {
  struct stat info {};
  return ::fstatat(place.parent->get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(info.st_mode) &&
         info.st_rdev == makedev(0, 0);
}

template <typename Make>
bool Unpacker::replacing(const Place& place, const char* doing, Make make) {
  if (make() == 0) {
    return false;
  }
  if (errno != EEXIST) {
    fail(place.path, doing);
  }
  bool hidden = is_whiteout(place);
  folders_.clear();  // what is removed may be a way to one of them
  remove_tree(place.parent->get(), place.name);
  if (make() != 0) {
    fail(place.path, doing);
  }
  return hidden;
}

void Unpacker::make_opaque(const Folder& folder) {
  std::string path = through_proc(folder->get(), ".");
  if (::setxattr(path.c_str(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
    throw system_error("unpack: mark a folder opaque");
  }
}

/// image-spec layer.md "Whiteouts": hides what lower layers have; never an entry of this layer, whatever the order.
void Unpacker::whiteout(const Place& place) {
  if (place.name == kOpaqueMarker) {
    make_opaque(place.parent);
    return;
  }
  if (std::string_view(place.name).starts_with(kAufsPrefix)) {
    return;  // aufs' own bookkeeping (hard link folder), of no meaning elsewhere
  }
  std::string hidden = place.name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") {
    throw Error(ErrorCode::kDataLoss, fmt::format("whiteout '{}' names no file", printable(place.path)));
  }
  if (::mknodat(place.parent->get(), hidden.c_str(), S_IFCHR, makedev(0, 0)) == 0) {
    return;
  }
  if (errno != EEXIST) {
    fail(place.path, "create the whiteout");
  }
  int folder = ::openat(place.parent->get(), hidden.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder >= 0) {
    make_opaque(std::make_shared<UniqueFd>(folder));
  }
}

void Unpacker::set_root(const TarEntry& entry) {
  if (entry.type != TarEntry::Type::kFolder) {
    throw Error(ErrorCode::kDataLoss, "archive has an entry for '/' that is no folder");
  }
  std::string path = through_proc(root_, ".");
  if (::chown(path.c_str(), entry.uid, entry.gid) != 0 || ::chmod(path.c_str(), entry.mode) != 0) {
    fail("/", "set owner and mode");
  }
  set_xattrs(path, entry);
  folder_times_.emplace_back("", entry.mtime);
}

void Unpacker::make_folder(const Place& place, const TarEntry& entry) {
  int parent = place.parent->get();
  auto make = [&] { return ::mkdirat(parent, place.name.c_str(), entry.mode & kPermissions); };
  bool existed = false;
  if (make() != 0) {
    struct stat info {};
    existed =
        errno == EEXIST && ::fstatat(parent, place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
    if (!existed && replacing(place, "create the folder", make)) {
      make_opaque(open_folder(place.path));
    }
  }
  if ((existed || entry.uid != 0 || entry.gid != 0) &&
      ::fchownat(parent, place.name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    fail(place.path, "set the owner");
  }
  if ((existed || (entry.mode & ~kPermissions) != 0) && ::fchmodat(parent, place.name.c_str(), entry.mode, 0) != 0) {
    fail(place.path, "set the mode");
  }
  if (!entry.xattrs.empty()) {
    set_xattrs(through_proc(parent, place.name), entry);
  }
  folder_times_.emplace_back(place.path, entry.mtime);
}

void Unpacker::make_file(TarReader& reader, const Place& place, const TarEntry& entry) {
  UniqueFd file;
  replacing(place, "create the file", [&] {
    file.reset(::openat(place.parent->get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        entry.mode & 0777));
    return file ? 0 : -1;
  });
  try {
    write_content(reader, file.get(), entry);
  } catch (const Error& error) {
    throw error.wrap(fmt::format("unpack '{}'", printable(place.path)));
  }
  if ((entry.uid != 0 || entry.gid != 0) && ::fchown(file.get(), entry.uid, entry.gid) != 0) {
    fail(place.path, "set the owner");
  }
  // Behind chown(2), which takes the set-id bits and file capabilities away.
  if ((entry.mode & 07000) != 0 && ::fchmod(file.get(), entry.mode) != 0) {
    fail(place.path, "set the mode");
  }
  if (!entry.xattrs.empty()) {
    set_xattrs(through_proc(place.parent->get(), place.name), entry);
  }
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::futimens(file.get(), times) != 0) {
    fail(place.path, "set the time");
  }
  bytes_ += static_cast<int64_t>(entry.size);
}

void Unpacker::write_content(TarReader& reader, int file, const TarEntry& entry) {
  for (TarReader::Piece piece; reader.read(piece);) {
    if (entry.sparse && ::lseek(file, static_cast<off_t>(piece.offset), SEEK_SET) < 0) {
      throw system_error("seek");
    }
    write_all(file, piece.bytes);
  }
  if (entry.sparse && ::ftruncate(file, static_cast<off_t>(entry.size)) != 0) {
    throw system_error("set the size");
  }
}

void Unpacker::make_hard_link(const Place& place, const TarEntry& entry) {
  // SECURITY: the target is found inside the layer too, its last component not through a link: linkat(2) without
  // AT_SYMLINK_FOLLOW.
  std::string target = clean_archive_path(entry.link);
  auto [folder, name] = split_path(target);
  Folder target_folder = target.empty() ? nullptr : open_folder(std::string(folder));
  if (!target_folder) {
    throw Error(ErrorCode::kDataLoss, fmt::format("unpack '{}': hard link to '{}', which the layer does not have",
                                                  printable(place.path), printable(entry.link)));
  }
  if (target == place.path) {
    throw Error(ErrorCode::kDataLoss, fmt::format("unpack '{}': hard link to itself", printable(place.path)));
  }
  replacing(place, "create the hard link", [&] {
    return ::linkat(target_folder->get(), std::string(name).c_str(), place.parent->get(), place.name.c_str(), 0);
  });
}

void Unpacker::make_node(const Place& place, const TarEntry& entry) {
  int parent = place.parent->get();
  const char* name = place.name.c_str();
  replacing(place, "create it", [&] {
    switch (entry.type) {
      case TarEntry::Type::kSymlink: return ::symlinkat(entry.link.c_str(), parent, name);
      case TarEntry::Type::kFifo: return ::mknodat(parent, name, S_IFIFO | (entry.mode & 0777), 0);
      case TarEntry::Type::kBlockDevice:
        return ::mknodat(parent, name, S_IFBLK | (entry.mode & 0777), makedev(entry.device_major, entry.device_minor));
      default: return ::mknodat(parent, name, S_IFCHR | (entry.mode & 0777), makedev(entry.device_major, entry.device_minor));
    }
  });
  set_owner_and_time(place, entry);
}

void Unpacker::set_owner_and_time(const Place& place, const TarEntry& entry) {
  int parent = place.parent->get();
  const char* name = place.name.c_str();
  if ((entry.uid != 0 || entry.gid != 0) && ::fchownat(parent, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    fail(place.path, "set the owner");
  }
  if ((entry.mode & 07000) != 0 && entry.type != TarEntry::Type::kSymlink && ::fchmodat(parent, name, entry.mode, 0) != 0) {
    fail(place.path, "set the mode");
  }
  if (!entry.xattrs.empty()) {
    set_xattrs(through_proc(parent, place.name), entry);
  }
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
    fail(place.path, "set the time");
  }
}

void Unpacker::set_xattrs(const std::string& path, const TarEntry& entry) {
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_welcome_xattr(name)) {
      continue;
    }
    // A file system without the attribute's kind, and kinds of file that can't have it (user.* on links), go without, as in
    // Docker; but never a lost capability or access list.
    if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) != 0 &&
        !((errno == EOPNOTSUPP || errno == EPERM) && name.starts_with("user."))) {
      throw system_error(fmt::format("unpack '{}': set attribute '{}'", printable(entry.name), printable(name)));
    }
  }
}

void Unpacker::set_folder_times() {
  for (const auto& [path, time] : folder_times_) {
    UniqueFd folder(open_in_root(root_, path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY));
    if (!folder) {
      continue;  // a later entry took its place
    }
    const timespec times[2] = {time, time};
    if (::futimens(folder.get(), times) != 0) {
      fail(path, "set the time");
    }
  }
}

}  // namespace bulkhead::archive
