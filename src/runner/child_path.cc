#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

using PathBuffer = std::array<char, PATH_MAX>;

bool copy_path(const char* path, PathBuffer& buffer) {
  size_t size = std::strlen(path);
  if (size >= buffer.size()) {
    errno = ENAMETOOLONG;
    return false;
  }
  std::memcpy(buffer.data(), path, size + 1);
  return true;
}

int make_folder_in(int root, int parent, const char* name, const char* whole, uint64_t resolve) {
  if (::mkdirat(parent, name, 0755) != 0 && errno != EEXIST) {
    return -1;
  }
  return open_in_root(root, whole, O_PATH | O_DIRECTORY, resolve);
}

}  // namespace

int open_in_root(int root, const char* path, uint64_t flags, uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  // SECURITY: every path below the root is the image's: a link may lead anywhere inside the root and nowhere else, and never
  // through /proc/<pid>/fd and its kin.
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  for (int tries = 0;; ++tries) {
    int fd = static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof(how)));
    // openat2(2): EAGAIN where something was renamed or mounted anywhere during the walk.
    if (fd >= 0 || errno != EAGAIN || tries == 1000) {
      return fd;
    }
  }
}

int make_parent_in_root(int root, const char* path, const char** name) {
  PathBuffer buffer;
  if (!copy_path(path, buffer)) {
    return -1;
  }
  const char* slash = std::strrchr(path, '/');
  *name = slash == nullptr ? path : slash + 1;
  char* end = std::strrchr(buffer.data(), '/');
  if (end == nullptr || end == buffer.data()) {
    return open_in_root(root, "/", O_PATH | O_DIRECTORY);
  }
  *end = '\0';
  return make_in_root(root, buffer.data(), S_IFDIR);
}

int make_in_root(int root, const char* path, mode_t mode, uint64_t resolve) {
  int fd = open_in_root(root, path, O_PATH, resolve);
  if (fd >= 0 || errno != ENOENT) {
    return fd;
  }
  PathBuffer buffer;
  if (!copy_path(path, buffer)) {
    return -1;
  }
  int parent = open_in_root(root, "/", O_PATH | O_DIRECTORY, resolve);
  char* part = buffer.data();
  while (*part == '/') {
    ++part;
  }
  for (char* slash = std::strchr(part, '/'); parent >= 0 && slash != nullptr; slash = std::strchr(part, '/')) {
    *slash = '\0';
    int next = open_in_root(root, buffer.data(), O_PATH | O_DIRECTORY, resolve);
    if (next < 0 && errno == ENOENT) {
      next = make_folder_in(root, parent, part, buffer.data(), resolve);
    }
    ::close(parent);
    parent = next;
    *slash = '/';
    part = slash + 1;
  }
  if (parent < 0) {
    return -1;
  }
  if (S_ISDIR(mode)) {
    fd = make_folder_in(root, parent, part, path, resolve);
  } else {
    // O_EXCL follows no link: a dangling one stays an error instead of a file somewhere else.
    int file = ::openat(parent, part, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0755);
    if (file >= 0 || errno == EEXIST) {
      if (file >= 0) {
        ::close(file);
      }
      fd = open_in_root(root, path, O_PATH, resolve);
    }
  }
  int error = errno;
  ::close(parent);
  errno = error;
  return fd;
}

}  // namespace bulkhead::runner
