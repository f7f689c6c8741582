// mount_setattr(2), MOUNT_ATTR_IDMAP: a mount in which a range of ids that nobody has on the host stands for the ids on disk.
//
// Any thread. Nothing here blocks for longer than the file system needs to find the source.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "support/unique_fd.h"

namespace bulkhead::linux {

enum class Depth { kOne, kWithMountsBelow };

/// A user namespace in which 0 to `count` - 1 are `first_id` and following on the host.
UniqueFd make_user_namespace(uid_t first_id, uid_t count);

struct IdmappedMount {
  UniqueFd mount;  // detached
  bool is_folder = false;
};

/// A copy of what is mounted at `source` (O_PATH), private, with these MOUNT_ATTR_*. Throws kNotSupported where it is no folder
/// or regular file, or where a file system can't translate ids: why, without the source's name.
IdmappedMount make_idmapped_mount(const UniqueFd& source, Depth depth, uint64_t attributes, const UniqueFd& user_namespace);

}  // namespace bulkhead::linux
