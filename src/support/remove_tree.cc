#include "support/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead {
namespace {

struct Level {
  std::string name;  // inside the level above
  uint64_t device = 0, inode = 0, mount = 0;
  std::vector<std::string> folders;  // still to be removed
};

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

bool is_folder(int parent, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) {
    return entry.d_type == DT_DIR;
  }
  struct stat info {};
  return ::fstatat(parent, static_cast<const char*>(entry.d_name), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

bool is_dot(const char* name) { return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)); }

/// Unlinks everything in the folder but its folders, which are listed.
std::vector<std::string> remove_files(int folder, const std::string& top) {
  UniqueFd copy(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::unique_ptr<DIR, CloseFolder> stream(copy ? ::fdopendir(copy.get()) : nullptr);
  if (!stream) {
    throw system_error(fmt::format("remove '{}': open a folder", top));
  }
  copy.release();
  std::vector<std::string> folders;
  while (const dirent* entry = ::readdir(stream.get())) {
    const char* name = static_cast<const char*>(entry->d_name);
    if (is_dot(name)) {
      continue;
    }
    if (is_folder(folder, *entry)) {
      folders.emplace_back(name);
    } else if (::unlinkat(folder, name, 0) != 0 && errno != ENOENT) {
      throw system_error(fmt::format("remove '{}': unlink '{}'", top, name));
    }
  }
  return folders;
}

/// What a folder is, that it isn't another later; statx(2).
void identify(int folder, Level& level) {
  struct statx info {};
  if (::statx(folder, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &info) != 0) {
    throw system_error("identify a folder");
  }
  level.device = static_cast<uint64_t>(info.stx_dev_major) << 32U | info.stx_dev_minor;
  level.inode = info.stx_ino;
  level.mount = info.stx_mnt_id;
}

/// SECURITY: what is mounted below, perhaps a folder of the host, is not part of the tree.
UniqueFd enter(int parent, const std::string& name, uint64_t mount, Level& level, const std::string& top) {
  UniqueFd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) {
    throw system_error(fmt::format("remove '{}': open folder '{}'", top, name));
  }
  level.name = name;
  identify(folder.get(), level);
  if (level.mount != mount) {
    throw Error(ErrorCode::kConflict, fmt::format("remove '{}': something is mounted on '{}' in it", top, name));
  }
  level.folders = remove_files(folder.get(), top);
  return folder;
}

/// SECURITY: ".." is taken only where it is the folder we came from: a folder moved meanwhile must not lead us elsewhere.
UniqueFd leave(int folder, const Level& above, const std::string& top) {
  UniqueFd parent(::openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) {
    throw system_error(fmt::format("remove '{}': open the parent of '{}'", top, above.name));
  }
  Level found;
  identify(parent.get(), found);
  if (found.device != above.device || found.inode != above.inode) {
    throw Error(ErrorCode::kConflict, fmt::format("remove '{}': a folder in it was moved meanwhile", top));
  }
  return parent;
}

void remove_empty(int parent, const std::string& name, const std::string& top) {
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    throw system_error(fmt::format("remove '{}': remove folder '{}'", top, name));
  }
}

}  // namespace

void remove_tree(int parent, const std::string& name, const std::atomic<bool>* stop) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) {
    return;
  }
  if (errno != EISDIR && errno != EPERM) {
    throw system_error(fmt::format("remove '{}'", name));
  }
  Level outside;
  identify(parent, outside);
  std::vector<Level> levels(1);
  UniqueFd folder = enter(parent, name, outside.mount, levels.back(), name);
  for (;;) {
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) {
      return;
    }
    if (!levels.back().folders.empty()) {
      std::string next = std::move(levels.back().folders.back());
      levels.back().folders.pop_back();
      Level below;
      folder = enter(folder.get(), next, outside.mount, below, name);
      levels.push_back(std::move(below));
      continue;
    }
    std::string emptied = std::move(levels.back().name);
    levels.pop_back();
    if (levels.empty()) {
      remove_empty(parent, emptied, name);
      return;
    }
    folder = leave(folder.get(), levels.back(), name);
    remove_empty(folder.get(), emptied, name);
  }
}

}  // namespace bulkhead
