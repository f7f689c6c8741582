// Writes a file or folder of a container's root as a tar archive: GET /containers/{id}/archive.
//
// SECURITY: the tree is hostile and may change meanwhile. Everything is reached by descriptor, never through a link, and only
// regular files are opened for reading: no FIFO blocks us, no device is touched. Two descriptors at any depth. Hard links among
// the files are kept for a bounded number of them.
//
// One thread; blocks on the disk and on who reads the archive.
#pragma once

#include <sys/stat.h>

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

/// SECURITY: what a container's tree can make one copy keep in memory, in bytes.
inline constexpr size_t kMaxPackerBytes = 64UL << 20;

class Packer {
 public:
  /// `root`: the container's; `out`: where the archive goes. Both must outlive the object.
  Packer(int root, int out, size_t max_bytes = kMaxPackerBytes);
  ~Packer();

  /// The whole archive. Its entries are named from the path's last part on. `path` is a cleaned one (file_request.h); a link at
  /// its end is written as a link. Throws kNotFound, kConflict (changed meanwhile), kResourceExhausted (too many names at
  /// once), kUnavailable (nobody reads any more), or what the disk says, naming the file. The archive has no end then.
  void pack(const std::string& path);

 private:
  /// Names in a folder, the next at the end. Without a string for each, so that many fit.
  class Names {
   public:
    void add(std::string_view name);
    void sort();
    bool empty() const { return starts_.empty(); }
    std::string take();
    size_t bytes() const { return text_.capacity() + starts_.capacity() * sizeof(uint32_t); }

   private:
    std::string text_;  // each with its NUL
    std::vector<uint32_t> starts_;
  };

  struct Level {
    std::string name;  // of the entries' prefix, with "/" at its end or empty
    dev_t device = 0;
    ino_t inode = 0;
    Names left;        // what is in it and still to be written
    size_t bytes = 0;  // of all this
  };

  void add(int entry, const std::string& name, const struct stat& info);
  void add_file(int entry, const std::string& name, const struct stat& info, TarEntry header);
  void copy_content(int file, const std::string& name, uint64_t size);
  void keep_link(const std::pair<dev_t, ino_t>& file, const std::string& name);
  void add_tree(UniqueFd folder, const std::string& name);
  Names names_in(int folder, const std::string& name) const;
  void enter(int folder, const std::string& name, const struct stat& info, std::vector<Level>& levels);
  UniqueFd next(int folder, const std::string& child, std::vector<Level>& levels);
  void write(std::string_view bytes);
  void write_zeros(uint64_t count);
  void flush();

  int root_;
  int out_;
  std::string buffer_;
  std::unique_ptr<char[]> piece_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files with more names, by the first of them
  size_t max_bytes_;
  size_t linked_bytes_ = 0;
  size_t level_bytes_ = 0;
};

}  // namespace bulkhead::archive
