// The folders and files of the host that a container's bind mounts name, as mounts that only its VM's jail gets.
//
// SECURITY: QEMU has no right to the host's files but these. It acts in a user namespace of its own, whose ids are a range that
// nobody has on the host, and these mounts alone translate that range back to the ids on disk (mount_setattr(2),
// MOUNT_ATTR_IDMAP): in them a file of uid 1000 is the guest's file of uid 1000; everywhere else QEMU is nobody.
#pragma once

#include <filesystem>
#include <vector>

#include "linux/idmapped_mount.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

enum class Access { kReadOnly, kReadWrite };
using linux::Depth;
/// On the way to the source; kNone: there must be none.
enum class Links { kFollowed, kNone };

struct ShareSpec {
  std::filesystem::path source;
  Access access = Access::kReadWrite;
  Depth depth = Depth::kWithMountsBelow;
  Links links = Links::kFollowed;
};

enum class ShareKind { kFolder, kFile };

struct Share {
  UniqueFd mount;  // detached
  ShareKind kind = ShareKind::kFolder;
};

/// Ids of one VM: the first of kJailIds.
inline constexpr uid_t kJailIds = 65536;

/// Throws naming the source: kNotFound, or kNotSupported where its file system can't translate ids.
std::vector<Share> open_shares(const std::vector<ShareSpec>& specs, const UniqueFd& user_namespace);

}  // namespace bulkhead::sandbox::vm
