// Writes the entries of an archive below a root: those of an image's layer, as overlayfs wants a lower layer (whiteouts become
// 0/0 character devices, opaque folders an extended attribute: Documentation/filesystems/overlayfs.rst); or those that a user
// copies into a container's root, which may be in use, and has mounts in it.
//
// SECURITY: the archive is hostile and this process is root. Every name is resolved by the kernel below the root (openat2(2)
// with RESOLVE_IN_ROOT), its last component never through a link; so processes that change the tree meanwhile send what
// follows elsewhere below the root, never out of it.
//
// One thread; it must be a thread of its own, because its umask becomes 0 (unshare(2) with CLONE_FS).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/file_request.h"
#include "archive/tar_reader.h"
#include "support/unique_fd.h"

namespace bulkhead::archive {

/// Where and how a user's archive goes into a container's root.
struct CopyInto {
  std::string folder;  // below the root, without a leading "/"; it exists. Its own attributes stay as they are
  Overwrite overwrite = Overwrite::kAnything;
  std::optional<std::pair<uint32_t, uint32_t>> owner;  // uid, gid of everything; else as the archive says
};

/// SECURITY: a bound on what one archive makes us keep in memory of its folders, in bytes.
inline constexpr size_t kMaxFolderTimes = 64UL << 20;

class Unpacker {
 public:
  /// A layer, into its own folder. `root` must outlive the object.
  explicit Unpacker(int root, size_t max_folder_times = kMaxFolderTimes);
  /// A copy. Names of the archive that mean whiteouts in a layer are names like others.
  Unpacker(int root, CopyInto into);

  /// Reads the archive to its end. Returns the bytes of all files. Throws kDataLoss (malformed, a way out of the folder),
  /// kInvalidArgument (may not be overwritten), kNotSupported, kResourceExhausted (too many folders), or what the disk says
  /// (kResourceExhausted where it is full), naming the entry.
  int64_t unpack(TarReader& reader);

 private:
  struct OpenFolder {
    UniqueFd fd;
    bool gives_group = false;  // what is made in it gets its group, and folders this mark too (set-group-id, inode(7))
  };
  using Folder = std::shared_ptr<OpenFolder>;
  struct Place {
    Folder parent;
    std::string name;  // the last component
    std::string path;  // the whole, cleaned
    int folder() const { return parent->fd.get(); }
  };
  enum class Kind { kFolder, kOther };
  using Owner = std::pair<uint32_t, uint32_t>;

  void unpack_entry(TarReader& reader, const TarEntry& entry);
  void set_root(const TarEntry& entry);
  void whiteout(const Place& place);
  void make_folder(const Place& place, const TarEntry& entry);
  void set_folder_attributes(const Place& place, const TarEntry& entry);
  void make_file(TarReader& reader, const Place& place, const TarEntry& entry);
  void write_content(TarReader& reader, int file, const TarEntry& entry);
  void make_hard_link(const Place& place, const TarEntry& entry);
  void make_node(const Place& place, const TarEntry& entry);
  void set_owner_and_time(const Place& place, const TarEntry& entry);
  void set_xattrs(const std::string& path, const TarEntry& entry);
  void keep_folder_time(const std::string& path, const timespec& time);
  void set_folder_times();

  Place resolve(const std::string& name);
  Folder open_folder(const std::string& path);
  Folder make_parent(const std::string& path);
  void make_opaque(const Folder& folder);
  bool is_whiteout(const Place& place);
  /// Runs `make`; where something is in the way, removes that first. True where it was a whiteout.
  template <typename Make>
  bool replacing(const Place& place, Kind kind, const char* doing, Make make);
  void check_overwrite(const Place& place, Kind kind) const;
  Owner owner_of(const TarEntry& entry) const;
  bool needs_owner(const Place& place, const TarEntry& entry) const;

  int root_;
  std::optional<CopyInto> into_;                  // none: a layer
  std::map<std::string, Folder> folders_;         // open ones, by path: most entries lie in the folder of the one before
  std::map<std::string, timespec> folder_times_;  // by path; set last, as each new entry changes them
  size_t max_folder_times_;
  size_t folder_times_size_ = 0;  // bytes, about
  int64_t bytes_ = 0;
};

}  // namespace bulkhead::archive
