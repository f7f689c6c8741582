#include "runner/source_propagation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <optional>
#include <sstream>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::runner {

namespace {

struct MountBonds {
  std::string point;
  bool shared = false, slave = false;
};

/// proc(5), mountinfo: "36 35 98:0 /root /point options shared:2 master:1 - ..."
std::optional<MountBonds> bonds_of(uint64_t mount_id) {
  std::istringstream lines(read_file("/proc/thread-self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    uint64_t id = 0;
    std::string skipped, field;
    MountBonds mount;
    fields >> id >> skipped >> skipped >> skipped >> mount.point >> skipped;
    if (id != mount_id) {
      continue;
    }
    while (fields >> field && field != "-") {
      mount.shared = mount.shared || field.starts_with("shared:");
      mount.slave = mount.slave || field.starts_with("master:");
    }
    return mount;
  }
  return std::nullopt;
}

}  // namespace

void check_source_propagation(const std::string& source, uint64_t propagation) {
  struct statx status {};
  if ((propagation != MS_SHARED && propagation != MS_SLAVE) ||
      ::statx(AT_FDCWD, source.c_str(), 0, STATX_MNT_ID, &status) != 0) {
    return;
  }
  std::optional<MountBonds> mount = bonds_of(status.stx_mnt_id);
  if (!mount || mount->shared || (propagation == MS_SLAVE && mount->slave)) {
    return;
  }
  bool shared = propagation == MS_SHARED;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("path {0} is mounted on {1} but it is not a {2} mount: make it one on the host (mount --make-shared "
                          "{1}), or leave '{3}' out of the bind mount's options",
                          source, mount->point, shared ? "shared" : "shared or slave", shared ? "rshared" : "rslave"));
}

}  // namespace bulkhead::runner
