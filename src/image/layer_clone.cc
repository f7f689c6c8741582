#include "image/layer_clone.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

#include "archive/archive_path.h"
#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead::image {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

[[noreturn]] void fail(const std::string& name, const char* doing) {
  throw system_error(fmt::format("copy a layer: '{}': {}", archive::printable(name), doing));
}

void copy_xattrs(int source, int target, const std::string& name) {
  std::string names(65536, '\0');
  ssize_t size = ::flistxattr(source, names.data(), names.size());
  if (size < 0 && errno != EOPNOTSUPP) {
    fail(name, "list attributes");
  }
  std::string value(65536, '\0');
  for (std::string_view rest(names.data(), size < 0 ? 0 : static_cast<size_t>(size)); !rest.empty();) {
    std::string key(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(key.size() + 1);
    ssize_t length = ::fgetxattr(source, key.c_str(), value.data(), value.size());
    if (length < 0 || ::fsetxattr(target, key.c_str(), value.data(), static_cast<size_t>(length), 0) != 0) {
      fail(name, "copy attributes");
    }
  }
}

UniqueFd open_folder(int parent, const std::string& name) {
  UniqueFd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) {
    fail(name, "open the folder");
  }
  return folder;
}

void copy_folder(int source, int target, const std::string& name, int depth) {
  // What was unpacked from paths of at most 4095 bytes; the bound keeps descriptors and stack finite.
  constexpr int kMaxDepth = 200;
  if (depth > kMaxDepth) {
    throw Error(ErrorCode::kNotSupported, fmt::format("copy a layer: folders are nested deeper than {}", kMaxDepth));
  }
  UniqueFd listing = open_folder(source, ".");
  std::unique_ptr<DIR, CloseFolder> stream(::fdopendir(listing.get()));
  if (!stream) {
    fail(name, "list the folder");
  }
  static_cast<void>(listing.release());
  while (const dirent* entry = ::readdir(stream.get())) {
    std::string child = static_cast<const char*>(entry->d_name);
    if (child == "." || child == "..") {
      continue;
    }
    if (entry->d_type != DT_DIR) {
      if (::linkat(source, child.c_str(), target, child.c_str(), 0) != 0) {
        fail(child, "link");
      }
      continue;
    }
    if (::mkdirat(target, child.c_str(), 0700) != 0) {
      fail(child, "create the folder");
    }
    copy_folder(open_folder(source, child).get(), open_folder(target, child).get(), child, depth + 1);
  }
  struct stat info {};
  if (::fstat(source, &info) != 0 || ::fchown(target, info.st_uid, info.st_gid) != 0 ||
      ::fchmod(target, info.st_mode & 07777) != 0) {
    fail(name, "copy owner and mode");
  }
  copy_xattrs(source, target, name);
  const timespec times[2] = {info.st_mtim, info.st_mtim};
  if (::futimens(target, times) != 0) {
    fail(name, "set the time");
  }
}

}  // namespace

void clone_layer(int source, int target) {
  copy_folder(open_folder(source, ".").get(), open_folder(target, ".").get(), "/", 0);
}

}  // namespace bulkhead::image
