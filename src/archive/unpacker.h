// Writes the entries of one layer's archive into one folder, as overlayfs wants a lower layer (whiteouts become 0/0 character
// devices, opaque folders an extended attribute: Documentation/filesystems/overlayfs.rst).
//
// SECURITY: the archive is hostile and this process is root. Every name is resolved by the kernel below the layer's folder
// (openat2(2) with RESOLVE_IN_ROOT), its last component never through a link.
//
// One thread; it must be a thread of its own, because its umask becomes 0 (unshare(2) with CLONE_FS).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/tar_reader.h"
#include "support/unique_fd.h"

namespace bulkhead::archive {

class Unpacker {
 public:
  /// `root`: the layer's folder; must outlive the object.
  explicit Unpacker(int root);

  /// Reads the archive to its end. Returns the bytes of all files. Throws kDataLoss (malformed, a way out of the folder),
  /// kNotSupported, or what the disk says (kResourceExhausted where it is full), naming the entry.
  int64_t unpack(TarReader& reader);

 private:
  using Folder = std::shared_ptr<UniqueFd>;
  struct Place {
    Folder parent;
    std::string name;  // the last component
    std::string path;  // the whole, cleaned
  };

  void unpack_entry(TarReader& reader, const TarEntry& entry);
  void set_root(const TarEntry& entry);
  void whiteout(const Place& place);
  void make_folder(const Place& place, const TarEntry& entry);
  void make_file(TarReader& reader, const Place& place, const TarEntry& entry);
  void write_content(TarReader& reader, int file, const TarEntry& entry);
  void make_hard_link(const Place& place, const TarEntry& entry);
  void make_node(const Place& place, const TarEntry& entry);
  void set_owner_and_time(const Place& place, const TarEntry& entry);
  void set_xattrs(const std::string& path, const TarEntry& entry);
  void set_folder_times();

  Place resolve(const std::string& name);
  Folder open_folder(const std::string& path);
  Folder make_parent(const std::string& path);
  void make_opaque(const Folder& folder);
  bool is_whiteout(const Place& place);
  /// Runs `make`; where something is in the way, removes that first. True where it was a whiteout.
  template <typename Make>
  bool replacing(const Place& place, const char* doing, Make make);

  int root_;
  std::map<std::string, Folder> folders_;  // open ones, by path: most entries lie in the folder of the one before
  std::vector<std::pair<std::string, timespec>> folder_times_;  // set last, as each new entry changes them
  int64_t bytes_ = 0;
};

}  // namespace bulkhead::archive
