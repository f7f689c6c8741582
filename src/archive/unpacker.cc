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
#include "archive/root.h"
#include "support/error.h"
#include "support/files.h"
#include "support/remove_tree.h"

namespace bulkhead::archive {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";
constexpr std::string_view kAufsPrefix = ".wh..wh.";
// SECURITY: bounds on what one archive makes us do and keep open. A shim has 1024 descriptors, for several copies at once.
constexpr uint64_t kMaxEntries = 8'000'000;
constexpr size_t kMaxOpenFolders = 32;
constexpr mode_t kPermissions = 01777;  // what open(2) and mkdir(2) take; the set-id bits need chmod(2)

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

Unpacker::Unpacker(int root, CopyInto into) : Unpacker(root) { into_ = std::move(into); }

Unpacker::Unpacker(int root, size_t max_folder_times) : root_(root), max_folder_times_(max_folder_times) {
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
  if (into_ && !into_->folder.empty()) {
    path = into_->folder + "/" + path;
  }
  if (!into_ && split_path(path).second.starts_with(kWhiteoutPrefix)) {
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
  auto folder = std::make_shared<OpenFolder>();
  folder->fd = open_in_root(root_, path, O_PATH | O_DIRECTORY, into_ ? 0 : RESOLVE_NO_XDEV);
  struct stat info {};
  if (!folder->fd || ::fstat(folder->fd.get(), &info) != 0) {
    return nullptr;
  }
  if (into_ && is_kernel_file_system(folder->fd.get())) {
    throw Error(
        ErrorCode::kNotSupported,
        fmt::format("'{}' is in a file system of the kernel (proc, sys): nothing can be copied there", printable(path)));
  }
  folder->gives_group = (info.st_mode & static_cast<mode_t>(S_ISGID)) != 0;
  if (folders_.size() >= kMaxOpenFolders) {
    folders_.clear();
  }
  return folders_[path] = std::move(folder);
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
  if (::mkdirat(place.folder(), place.name.c_str(), 0755) != 0) {
    if (errno == EEXIST && is_whiteout(place)) {
      hidden = replacing(place, Kind::kFolder, "create a folder",
                         [&] { return ::mkdirat(place.folder(), place.name.c_str(), 0755); });
    } else if (errno == EEXIST) {
      throw Error(ErrorCode::kDataLoss, fmt::format("unpack: '{}' has entries below it, but is no folder", printable(path)));
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
  return !into_ && ::fstatat(place.folder(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(info.st_mode) &&
         info.st_rdev == makedev(0, 0);
}

/// Docker's words.
void Unpacker::check_overwrite(const Place& place, Kind kind) const {
  struct stat info {};
  if (!into_ || into_->overwrite == Overwrite::kAnything ||
      ::fstatat(place.folder(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      S_ISDIR(info.st_mode) == (kind == Kind::kFolder)) {
    return;
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("cannot overwrite {} \"/{}\" with {}", S_ISDIR(info.st_mode) ? "directory" : "non-directory",
                          printable(place.path), kind == Kind::kFolder ? "directory" : "non-directory"));
}

Unpacker::Owner Unpacker::owner_of(const TarEntry& entry) const {
  return into_ && into_->owner ? *into_->owner : Owner(entry.uid, entry.gid);
}

/// What root makes is root's.
bool Unpacker::needs_owner(const Place& place, const TarEntry& entry) const {
  return place.parent->gives_group || owner_of(entry) != Owner(0, 0);
}

template <typename Make>
bool Unpacker::replacing(const Place& place, Kind kind, const char* doing, Make make) {
  if (make() == 0) {
    return false;
  }
  if (errno != EEXIST) {
    fail(place.path, doing);
  }
  check_overwrite(place, kind);
  bool hidden = is_whiteout(place);
  folders_.clear();  // what is removed may be a way to one of them
  remove_tree(place.folder(), place.name);
  if (make() != 0) {
    fail(place.path, doing);
  }
  return hidden;
}

void Unpacker::make_opaque(const Folder& folder) {
  std::string path = through_proc(folder->fd.get(), ".");
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
  if (::mknodat(place.folder(), hidden.c_str(), S_IFCHR, makedev(0, 0)) == 0) {
    return;
  }
  if (errno != EEXIST) {
    fail(place.path, "create the whiteout");
  }
  auto folder = std::make_shared<OpenFolder>();
  folder->fd.reset(::openat(place.folder(), hidden.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder->fd) {
    make_opaque(folder);
  }
}

void Unpacker::set_root(const TarEntry& entry) {
  if (entry.type != TarEntry::Type::kFolder) {
    throw Error(ErrorCode::kDataLoss, "archive has an entry for '/' that is no folder");
  }
  if (into_) {
    return;
  }
  std::string path = through_proc(root_, ".");
  if (::chown(path.c_str(), entry.uid, entry.gid) != 0 || ::chmod(path.c_str(), entry.mode) != 0) {
    fail("/", "set owner and mode");
  }
  set_xattrs(path, entry);
  keep_folder_time("", entry.mtime);
}

void Unpacker::make_folder(const Place& place, const TarEntry& entry) {
  int parent = place.folder();
  auto make = [&] { return ::mkdirat(parent, place.name.c_str(), entry.mode & kPermissions); };
  bool existed = false;
  if (make() != 0) {
    struct stat info {};
    existed =
        errno == EEXIST && ::fstatat(parent, place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
    if (!existed && replacing(place, Kind::kFolder, "create the folder", make)) {
      make_opaque(open_folder(place.path));
    }
  }
  if (existed || needs_owner(place, entry) || (entry.mode & ~kPermissions) != 0 || !entry.xattrs.empty()) {
    set_folder_attributes(place, entry);
  }
  keep_folder_time(place.path, entry.mtime);
}

void Unpacker::set_folder_attributes(const Place& place, const TarEntry& entry) {
  // SECURITY: by descriptor, as a process of the container may put something else in its place.
  UniqueFd folder(::openat(place.folder(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) {
    fail(place.path, "open the folder");
  }
  if (into_ && is_kernel_file_system(folder.get())) {
    return;  // mounted on the folder that is meant
  }
  auto [uid, gid] = owner_of(entry);
  if (::fchown(folder.get(), uid, gid) != 0) {
    fail(place.path, "set the owner");
  }
  if (::fchmod(folder.get(), entry.mode) != 0) {
    fail(place.path, "set the mode");
  }
  set_xattrs(through_descriptor(folder.get()), entry);
  folders_.erase(place.path);  // it may give its group now
}

void Unpacker::make_file(TarReader& reader, const Place& place, const TarEntry& entry) {
  UniqueFd file;
  replacing(place, Kind::kOther, "create the file", [&] {
    file.reset(
        ::openat(place.folder(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, entry.mode & 0777));
    return file ? 0 : -1;
  });
  try {
    write_content(reader, file.get(), entry);
  } catch (const Error& error) {
    throw error.wrap(fmt::format("unpack '{}'", printable(place.path)));
  }
  auto [uid, gid] = owner_of(entry);
  if (needs_owner(place, entry) && ::fchown(file.get(), uid, gid) != 0) {
    fail(place.path, "set the owner");
  }
  // Behind chown(2), which takes the set-id bits and file capabilities away.
  if ((entry.mode & 07000) != 0 && ::fchmod(file.get(), entry.mode) != 0) {
    fail(place.path, "set the mode");
  }
  if (!entry.xattrs.empty()) {
    set_xattrs(through_descriptor(file.get()), entry);
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
  if (into_ && !into_->folder.empty() && !target.empty()) {
    target = into_->folder + "/" + target;
  }
  std::string target_name(split_path(target).second);
  Folder target_folder = target.empty() ? nullptr : open_folder(std::string(split_path(target).first));
  if (!target_folder) {
    throw Error(ErrorCode::kDataLoss, fmt::format("unpack '{}': hard link to '{}', which is not there", printable(place.path),
                                                  printable(entry.link)));
  }
  if (target == place.path) {
    throw Error(ErrorCode::kDataLoss, fmt::format("unpack '{}': hard link to itself", printable(place.path)));
  }
  replacing(place, Kind::kOther, "create the hard link",
            [&] { return ::linkat(target_folder->fd.get(), target_name.c_str(), place.folder(), place.name.c_str(), 0); });
}

void Unpacker::make_node(const Place& place, const TarEntry& entry) {
  int parent = place.folder();
  const char* name = place.name.c_str();
  replacing(place, Kind::kOther, "create it", [&] {
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
  // SECURITY: by descriptor, as above; what we made has the kind that we made.
  UniqueFd node(::openat(place.folder(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!node || ::fstat(node.get(), &info) != 0) {
    fail(place.path, "open it");
  }
  if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
    throw Error(ErrorCode::kConflict, fmt::format("unpack '{}': it was replaced meanwhile", printable(place.path)));
  }
  auto [uid, gid] = owner_of(entry);
  if (needs_owner(place, entry) && ::fchownat(node.get(), "", uid, gid, AT_EMPTY_PATH) != 0) {
    fail(place.path, "set the owner");
  }
  std::string path = through_descriptor(node.get());
  if ((entry.mode & 07000) != 0 && !S_ISLNK(info.st_mode) && ::chmod(path.c_str(), entry.mode) != 0) {
    fail(place.path, "set the mode");
  }
  set_xattrs(path, entry);
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::utimensat(node.get(), "", times, AT_EMPTY_PATH) != 0) {
    fail(place.path, "set the time");
  }
}

/// `path` is one of through_descriptor's.
void Unpacker::set_xattrs(const std::string& path, const TarEntry& entry) {
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_welcome_xattr(name)) {
      continue;
    }
    // A file system without the attribute's kind, and kinds of file that can't have it (user.* on links), go without, as in
    // Docker; but never a lost capability or access list.
    if (::setxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) != 0 &&
        !((errno == EOPNOTSUPP || errno == EPERM) && name.starts_with("user."))) {
      throw system_error(fmt::format("unpack '{}': set attribute '{}'", printable(entry.name), printable(name)));
    }
  }
}

/// Once for each folder, however often the archive names it: the last time counts.
void Unpacker::keep_folder_time(const std::string& path, const timespec& time) {
  constexpr size_t kNode = 112;  // of the map, with what the allocator adds to it and to the path
  if (!folder_times_.insert_or_assign(path, time).second) {
    return;
  }
  folder_times_size_ += path.size() + kNode;
  if (folder_times_size_ > max_folder_times_) {
    throw Error(ErrorCode::kResourceExhausted,
                fmt::format("unpack '{}': the archive has too many folders: {} so far", printable(path), folder_times_.size()));
  }
}

void Unpacker::set_folder_times() {
  for (const auto& [path, time] : folder_times_) {
    UniqueFd folder = open_in_root(root_, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, into_ ? 0 : RESOLVE_NO_XDEV);
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
