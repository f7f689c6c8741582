// The disks of VMs that have no container yet: nothing of value is on them, and they have no name.
//
// Owned by the keeper's workshop; immutable, so any thread.
#pragma once

#include <filesystem>
#include <string>

#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

class ThrowawayDisks {
 public:
  /// Makes both file systems with mkfs.erofs and mkfs.ext4, in `folder` for a moment. Where there is a `blank` disk, of which
  /// containers' disks are copies, theirs are too.
  ThrowawayDisks(const std::filesystem::path& folder, const std::filesystem::path& blank);

  /// One for all, sealed; a new descriptor.
  UniqueFd image() const;
  /// A fresh one.
  UniqueFd scratch() const;
  /// A fresh one that can be given a name beside the disks of containers (open(2), O_TMPFILE); where there are none, or their
  /// file system has no such files, as scratch().
  UniqueFd linkable_scratch() const;

 private:
  std::filesystem::path folder_;  // where the blank disk is; or none
  UniqueFd image_;
  UniqueFd blank_;  // of which each scratch disk is a copy
};

}  // namespace bulkhead::sandbox::vm
