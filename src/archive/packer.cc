#include "archive/packer.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "archive/archive_path.h"
#include "archive/file_request.h"
#include "archive/root.h"
#include "archive/tar_writer.h"
#include "support/error.h"

namespace bulkhead::archive {
namespace {

constexpr size_t kBufferSize = 256UL << 10;
constexpr size_t kMaxName = 8UL << 10;  // bytes of a path in the archive
constexpr size_t kNode = 128;           // of a map or vector, with what the allocator adds to it and to its string

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

bool is_dot(std::string_view name) { return name == "." || name == ".."; }

std::string link_of(int entry, const std::string& name) {
  std::array<char, 4096> text{};
  ssize_t size = ::readlinkat(entry, "", text.data(), text.size());
  if (size < 0) {
    fail_at(name, "read link");
  }
  return {text.data(), static_cast<size_t>(size)};
}

TarEntry header_of(const std::string& name, const struct stat& info) {
  TarEntry header;
  header.name = name;
  header.mode = info.st_mode & 07777U;
  header.uid = info.st_uid;
  header.gid = info.st_gid;
  header.mtime = info.st_mtim;
  return header;
}

/// Of a file that was opened as O_PATH, for reading.
UniqueFd open_file_of(int entry, const std::string& name) {
  UniqueFd file(::open(through_descriptor(entry).c_str(), O_RDONLY | O_CLOEXEC | O_NOATIME));
  if (!file && errno == EPERM) {
    file.reset(::open(through_descriptor(entry).c_str(), O_RDONLY | O_CLOEXEC));
  }
  if (!file) {
    fail_at(name, "open");
  }
  return file;
}

}  // namespace

void Packer::Names::add(std::string_view name) {
  starts_.push_back(static_cast<uint32_t>(text_.size()));
  text_.append(name);
  text_ += '\0';
}

void Packer::Names::sort() {
  std::sort(starts_.begin(), starts_.end(),
            [this](uint32_t one, uint32_t other) { return std::strcmp(text_.data() + one, text_.data() + other) > 0; });
}

std::string Packer::Names::take() {
  std::string name = text_.data() + starts_.back();
  starts_.pop_back();
  return name;
}

Packer::Packer(int root, int out, size_t max_bytes)
    : root_(root), out_(out), piece_(std::make_unique<char[]>(kBufferSize)), max_bytes_(max_bytes) {
  buffer_.reserve(kBufferSize);
}

Packer::~Packer() = default;

void Packer::pack(const std::string& path) {
  UniqueFd found = open_in_root(root_, path, O_PATH | O_NOFOLLOW);
  struct stat info {};
  if (!found || ::fstat(found.get(), &info) != 0) {
    fail_at(path, "open");
  }
  if (is_kernel_file_system(found.get())) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("'{}' is in a file system of the kernel (proc, sys): use exec to read it", printable(path)));
  }
  std::string name = base_name(path);
  if (S_ISDIR(info.st_mode)) {
    add_tree(std::move(found), name == "/" ? "/" : name + "/");
  } else {
    add(found.get(), name, info);
  }
  write_zeros(kTarEnd);
  flush();
}

void Packer::add(int entry, const std::string& name, const struct stat& info) {
  TarEntry header = header_of(name, info);
  switch (info.st_mode & static_cast<mode_t>(S_IFMT)) {
    case S_IFREG: add_file(entry, name, info, std::move(header)); return;
    case S_IFLNK:
      header.type = TarEntry::Type::kSymlink;
      header.link = link_of(entry, name);
      break;
    case S_IFCHR:
    case S_IFBLK:
      header.type = S_ISCHR(info.st_mode) ? TarEntry::Type::kCharacterDevice : TarEntry::Type::kBlockDevice;
      header.device_major = major(info.st_rdev);
      header.device_minor = minor(info.st_rdev);
      break;
    case S_IFIFO: header.type = TarEntry::Type::kFifo; break;
    case S_IFDIR: header.type = TarEntry::Type::kFolder; break;
    default: return;  // a socket has no place in an archive
  }
  write(tar_header(header));
}

void Packer::add_file(int entry, const std::string& name, const struct stat& info, TarEntry header) {
  if (info.st_nlink > 1) {
    auto key = std::pair(info.st_dev, info.st_ino);
    if (auto first = linked_.find(key); first != linked_.end()) {
      header.type = TarEntry::Type::kHardLink;
      header.link = first->second;
      write(tar_header(header));
      return;
    }
    keep_link(key, name);
  }
  UniqueFd file = open_file_of(entry, name);
  std::array<char, 1024> capability{};
  ssize_t size = ::fgetxattr(file.get(), "security.capability", capability.data(), capability.size());
  if (size > 0) {
    header.xattrs.emplace_back("security.capability", std::string(capability.data(), static_cast<size_t>(size)));
  }
  header.size = static_cast<uint64_t>(info.st_size);
  write(tar_header(header));
  copy_content(file.get(), name, header.size);
}

/// Of many links, those that come late are files of their own in the archive.
void Packer::keep_link(const std::pair<dev_t, ino_t>& file, const std::string& name) {
  size_t bytes = name.size() + kNode;
  if (linked_bytes_ + bytes <= max_bytes_ / 2 && linked_bytes_ + level_bytes_ + bytes <= max_bytes_) {
    linked_bytes_ += bytes;
    linked_.emplace(file, name);
  }
}

void Packer::copy_content(int file, const std::string& name, uint64_t size) {
  for (uint64_t left = size; left > 0;) {
    ssize_t count = ::read(file, piece_.get(), std::min<uint64_t>(left, kBufferSize));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      fail_at(name, "read");
    }
    if (count == 0) {
      // It became shorter meanwhile, or never was that long, as in file systems that make their files up. The header is
      // written: zeros in its place, as of GNU tar, and the rest of the tree is not lost for a log that was rotated.
      write_zeros(left);
      break;
    }
    write({piece_.get(), static_cast<size_t>(count)});
    left -= static_cast<uint64_t>(count);
  }
  write_zeros(tar_padding(size));
}

/// The folder `child`, written and entered; invalid where it was something else, which is written.
UniqueFd Packer::next(int folder, const std::string& child, std::vector<Level>& levels) {
  UniqueFd entry(::openat(folder, child.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!entry || ::fstat(entry.get(), &info) != 0) {
    if (errno == ENOENT) {
      return {};  // removed meanwhile
    }
    fail_at(levels.back().name + child, "open");
  }
  std::string name = levels.back().name + child;
  if (name.size() > kMaxName) {
    throw Error(ErrorCode::kNotSupported, fmt::format("folders are nested too deeply: '{}'", printable(name)));
  }
  if (!S_ISDIR(info.st_mode)) {
    if (!is_kernel_file_system(entry.get())) {  // a masked file, mounted from there
      add(entry.get(), name, info);
    }
    return {};
  }
  add(entry.get(), name + "/", info);
  if (is_kernel_file_system(entry.get())) {
    return {};
  }
  enter(entry.get(), name + "/", info, levels);
  return entry;
}

Packer::Names Packer::names_in(int folder, const std::string& name) const {
  int readable = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::unique_ptr<DIR, CloseFolder> stream(readable < 0 ? nullptr : ::fdopendir(readable));
  if (!stream) {
    fail_at(name, "read folder");
  }
  Names names;
  while (const dirent* entry = ::readdir(stream.get())) {
    std::string_view child = static_cast<const char*>(entry->d_name);
    if (!is_dot(child)) {
      names.add(child);
    }
    if (linked_bytes_ + level_bytes_ + names.bytes() > max_bytes_) {
      throw Error(
          ErrorCode::kResourceExhausted,
          fmt::format("folder '{}' has too many entries to be copied: their names, and those in the folders above, take "
                      "more than {} bytes",
                      printable(name), max_bytes_));
    }
  }
  names.sort();
  return names;
}

void Packer::enter(int folder, const std::string& name, const struct stat& info, std::vector<Level>& levels) {
  Level level{.name = name, .device = info.st_dev, .inode = info.st_ino, .left = names_in(folder, name)};
  level.bytes = name.size() + sizeof(Level) + kNode + level.left.bytes();
  level_bytes_ += level.bytes;
  levels.push_back(std::move(level));
}

void Packer::add_tree(UniqueFd folder, const std::string& name) {
  struct stat info {};
  if (::fstat(folder.get(), &info) != 0) {
    fail_at(name, "stat");
  }
  add(folder.get(), name, info);
  std::vector<Level> levels;
  enter(folder.get(), name, info, levels);
  for (;;) {
    if (!levels.back().left.empty()) {
      std::string child = levels.back().left.take();
      if (UniqueFd below = next(folder.get(), child, levels)) {
        folder = std::move(below);
      }
      continue;
    }
    std::string done = std::move(levels.back().name);
    level_bytes_ -= levels.back().bytes;
    levels.pop_back();
    if (levels.empty()) {
      return;
    }
    // SECURITY: ".." is taken only where it is the folder we came from: one moved meanwhile must not lead us elsewhere.
    UniqueFd above(::openat(folder.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!above || ::fstat(above.get(), &info) != 0 || info.st_dev != levels.back().device ||
        info.st_ino != levels.back().inode) {
      throw Error(ErrorCode::kConflict, fmt::format("folder '{}' was moved while it was copied: try again", printable(done)));
    }
    folder = std::move(above);
  }
}

void Packer::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBufferSize) {
    flush();
  }
  buffer_.append(bytes);
}

void Packer::write_zeros(uint64_t count) {
  static constexpr std::array<char, 4UL << 10> kZeros{};
  while (count > 0) {
    size_t step = std::min<uint64_t>(count, kZeros.size());
    write({kZeros.data(), step});
    count -= step;
  }
}

void Packer::flush() {
  std::string_view bytes = buffer_;
  while (!bytes.empty()) {
    ssize_t count = ::write(out_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw Error(ErrorCode::kUnavailable, "nobody reads the archive any more");
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  buffer_.clear();
}

}  // namespace bulkhead::archive
