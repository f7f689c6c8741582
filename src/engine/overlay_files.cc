// Reading a small file of a container's root without mounting it: the overlay's folders are walked as overlayfs would join
// them.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <memory>

#include "engine/engine_state.h"
#include "support/error.h"
#include "support/files.h"
#include "support/unique_fd.h"

namespace bulkhead::engine {
namespace {

constexpr int kMaximumSymlinks = 40;        // as the kernel's own limit (path_resolution(7))
constexpr size_t kMaximumSize = 4UL << 20;  // bytes of a file: /etc/passwd of the largest sites is below
constexpr const char* kOpaque = "trusted.overlay.opaque";

/// One folder of the joined tree: its parts in the layers, top first.
using JoinedFolder = std::vector<std::shared_ptr<UniqueFd>>;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  while (start <= text.size()) {
    size_t end = std::min(text.find(separator, start), text.size());
    if (end > start) {
      parts.push_back(text.substr(start, end - start));
    }
    start = end + 1;
  }
  return parts;
}

std::shared_ptr<UniqueFd> open_folder(int parent, const std::string& name) {
  // SECURITY: O_NOFOLLOW at every step: the container writes these folders, so a symlink is only ever followed by us, within
  // the joined tree.
  auto folder = std::make_shared<UniqueFd>(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return *folder ? folder : nullptr;
}

bool is_opaque(const UniqueFd& folder) {
  char value = 0;
  return fgetxattr(folder.get(), kOpaque, &value, 1) == 1 && value == 'y';
}

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

/// What a name is in a joined folder.
struct Found {
  enum class Kind { kNothing, kFolder, kSymlink, kFile } kind = Kind::kNothing;
  JoinedFolder folder;
  std::string target;  // of the symlink
  UniqueFd file;
};

Found open_file_at(int parent, const std::string& name) {
  Found found;
  // SECURITY: O_NONBLOCK and the check afterwards: the container may have put a FIFO or a device there.
  UniqueFd file(openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  struct stat status {};
  if (file && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    found.kind = Found::Kind::kFile;
    found.file = std::move(file);
  }
  return found;
}

Found look_up(const JoinedFolder& parents, const std::string& name) {
  Found found;
  for (const auto& parent : parents) {
    struct stat status {};
    if (fstatat(parent->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    bool is_folder = S_ISDIR(status.st_mode);
    if (is_whiteout(status) || (!is_folder && !found.folder.empty())) {
      break;
    }
    if (S_ISLNK(status.st_mode)) {
      std::array<char, 4096> target{};
      ssize_t size = readlinkat(parent->get(), name.c_str(), target.data(), target.size());
      if (size > 0) {
        found.kind = Found::Kind::kSymlink;
        found.target.assign(target.data(), static_cast<size_t>(size));
      }
      return found;
    }
    if (S_ISREG(status.st_mode)) {
      return open_file_at(parent->get(), name);
    }
    auto folder = is_folder ? open_folder(parent->get(), name) : nullptr;
    if (folder == nullptr) {
      break;
    }
    found.kind = Found::Kind::kFolder;
    found.folder.push_back(folder);
    if (is_opaque(*folder)) {
      break;
    }
  }
  return found;
}

/// The regular file that the path leads to; invalid where it leads to none.
UniqueFd open_joined(const JoinedFolder& root, const std::string& path) {
  std::vector<JoinedFolder> trail{root};
  std::vector<std::string> first = split(path, '/');
  std::deque<std::string> names(first.begin(), first.end());
  int symlinks = 0;
  while (!names.empty()) {
    std::string name = names.front();
    names.pop_front();
    if (name == ".") {
      continue;
    }
    if (name == "..") {
      if (trail.size() > 1) {
        trail.pop_back();
      }
      continue;
    }
    Found found = look_up(trail.back(), name);
    switch (found.kind) {
      case Found::Kind::kNothing: return {};
      case Found::Kind::kFolder: trail.push_back(std::move(found.folder)); break;
      case Found::Kind::kFile: return names.empty() ? std::move(found.file) : UniqueFd();
      case Found::Kind::kSymlink: {
        if (++symlinks > kMaximumSymlinks) {
          return {};
        }
        if (found.target[0] == '/') {
          trail.resize(1);
        }
        std::vector<std::string> more = split(found.target, '/');
        names.insert(names.begin(), more.begin(), more.end());
      }
    }
  }
  return {};  // a folder
}

JoinedFolder open_root(const std::vector<std::string>& folders) {
  JoinedFolder root;
  for (const std::string& folder : folders) {
    root.push_back(std::make_shared<UniqueFd>(open_file(folder, O_RDONLY | O_DIRECTORY)));
  }
  return root;
}

}  // namespace

RootFileReader overlay_file_reader(const std::string& upper, const std::string& lower) {
  std::vector<std::string> folders{upper};
  for (std::string& folder : split(lower, ':')) {
    folders.push_back(std::move(folder));
  }
  return [folders](const std::string& path) -> std::optional<std::string> {
    UniqueFd file = open_joined(open_root(folders), path);
    return file ? std::optional(read_all(file.get(), kMaximumSize)) : std::nullopt;
  };
}

std::optional<std::string> read_overlay_head(const std::vector<std::string>& folders, const std::string& path, size_t limit) {
  UniqueFd file = open_joined(open_root(folders), path);
  if (!file) {
    return std::nullopt;
  }
  std::string head(limit, '\0');
  size_t size = 0;
  while (size < limit) {
    ssize_t count = TEMP_FAILURE_RETRY(pread(file.get(), head.data() + size, limit - size, static_cast<off_t>(size)));
    if (count < 0) {
      throw system_error(fmt::format("read '{}' of an image", path));
    }
    if (count == 0) {
      break;
    }
    size += static_cast<size_t>(count);
  }
  head.resize(size);
  return head;
}

RootFileReader root_reader(const Container& container) {
  return container.own_kernel ? RootFileReader() : overlay_file_reader(container.upper_folder, container.lower_folders);
}

}  // namespace bulkhead::engine
