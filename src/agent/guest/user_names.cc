#include "agent/guest/user_names.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "oci/user_lookup.h"
#include "support/files.h"
#include "support/unique_fd.h"

namespace bulkhead::agent {
namespace {

constexpr size_t kMaxFile = 4UL << 20;  // bytes; as the engine reads in process mode

/// SECURITY: the container wrote these files and the folders on the way: nothing leads out of its root, and neither a FIFO nor
/// a device is waited for.
std::optional<std::string> read_inside(const std::filesystem::path& root, const std::string& path) {
  UniqueFd folder = open_file(root, O_PATH | O_DIRECTORY);
  open_how how{};
  how.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd file(static_cast<int>(::syscall(SYS_openat2, folder.get(), path.c_str(), &how, sizeof(how))));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  return read_all(file.get(), kMaxFile);
}

}  // namespace

void resolve_user(oci::Process& process, const std::filesystem::path& root) {
  if (process.user.username.empty()) {
    return;
  }
  oci::FoundUser found = oci::find_user(process.user.username, process.user.additional_groups,
                                        [&](const std::string& path) { return read_inside(root, path); });
  process.user.uid = found.uid;
  process.user.gid = found.gid;
  process.user.additional_gids = found.additional_gids;
  process.user.username.clear();
  process.user.additional_groups.clear();
  bool has_home =
      std::any_of(process.env.begin(), process.env.end(), [](const auto& each) { return each.starts_with("HOME="); });
  if (!has_home) {
    process.env.push_back("HOME=" + found.home);
  }
  if (found.uid != 0 && process.capabilities) {
    // For everybody but root they bound what execve(2) can give.
    process.capabilities->effective.clear();
    process.capabilities->permitted.clear();
    process.capabilities->inheritable.clear();
    process.capabilities->ambient.clear();
  }
}

}  // namespace bulkhead::agent
