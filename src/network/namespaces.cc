#include "network/namespaces.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>

#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"
#include "support/unique_fd.h"

namespace bulkhead::network {
namespace {

// Of the calling thread: "self" would be the process's first thread, in the host's namespace.
constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

bool is_mount_point(const std::filesystem::path& path) {
  struct statx attributes {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &attributes) != 0) {
    return false;
  }
  return (attributes.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/// Links made in this namespace from now on have no IPv6, as on Docker's default bridge; loopback keeps ::1.
void disable_ipv6_of_new_links() {
  int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    return;  // a kernel without IPv6
  }
  UniqueFd file(fd);
  if (!file || write(fd, "1", 1) != 1) {
    throw system_error("write '/proc/sys/net/ipv6/conf/default/disable_ipv6'");
  }
}

/// Runs `body` in a thread of its own and hands its exception over.
void in_thread(const std::function<void()>& body) {
  std::exception_ptr failure;
  try {
    std::thread([&] {
      try {
        body();
      } catch (...) {
        failure = std::current_exception();
      }
    }).join();
  } catch (const std::system_error& error) {
    throw system_error("start a thread for a network namespace", error.code().value());
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace

std::filesystem::path NamespaceFolder::path_of(const std::string& id) const {
  // SECURITY: the id becomes a file name that root mounts on and unlinks: it must not lead out of the folder.
  bool plain = std::all_of(id.begin(), id.end(),
                           [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
  if (id.empty() || id.size() > 128 || id.front() == '.' || !plain) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a container id", id));
  }
  return folder_ / id;
}

void NamespaceFolder::prepare() {
  std::lock_guard lock(preparing_);
  if (is_mount_point(folder_)) {
    return;
  }
  make_folders(folder_, 0700);
  // A shared mount would copy each namespace's bind mount into every peer mount namespace (mount_namespaces(7)), and there it
  // would keep the namespace alive after we let it go.
  if (mount(folder_.c_str(), folder_.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw system_error(fmt::format("mount '{}' on itself", folder_.native()));
  }
  if (mount(nullptr, folder_.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) {
    throw system_error(fmt::format("make mount '{}' private", folder_.native()));
  }
}

void NamespaceFolder::keep(const std::filesystem::path& path) {
  UniqueFd file(open(path.c_str(), O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0400));
  if (!file) {
    throw system_error(fmt::format("create '{}'", path.native()));
  }
  if (mount(kOwnNamespace, path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw system_error(fmt::format("mount a network namespace on '{}'", path.native()));
  }
}

void NamespaceFolder::create(const std::string& id, const std::function<void(int)>& inside) {
  std::filesystem::path path = path_of(id);
  remove(id);  // what a crash left
  auto undo = ScopeGuard([&] {
    try {
      remove(id);
    } catch (const Error&) {  // the first error is the one to report
    }
  });
  // SECURITY: the thread ends in the new namespace and is never reused, so no other work can run in a container's network, and
  // nothing has to be restored (which could fail).
  in_thread([&] {
    if (unshare(CLONE_NEWNET) != 0) {
      throw system_error("make a network namespace");
    }
    disable_ipv6_of_new_links();
    keep(path);
    UniqueFd descriptor = open_file(kOwnNamespace, O_RDONLY);
    inside(descriptor.get());
  });
  undo.dismiss();
}

void NamespaceFolder::remove(const std::string& id) {
  std::filesystem::path path = path_of(id);
  // EINVAL: not a mount point.
  if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT) {
    throw system_error(fmt::format("unmount '{}'", path.native()));
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw system_error(fmt::format("delete '{}'", path.native()));
  }
}

std::vector<std::string> NamespaceFolder::list() const {
  std::vector<std::string> ids;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, missing)) {
    ids.push_back(entry.path().filename());
  }
  return ids;
}

void NamespaceFolder::remove_folder() {
  if (!list().empty()) {
    return;
  }
  if (is_mount_point(folder_) && umount2(folder_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
    throw system_error(fmt::format("unmount '{}'", folder_.native()));
  }
  if (rmdir(folder_.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY) {
    throw system_error(fmt::format("delete '{}'", folder_.native()));
  }
}

}  // namespace bulkhead::network
