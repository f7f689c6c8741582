// Files below a process's root that the kernel itself answers for, and none that the container may serve: whoever asks a FUSE
// file system of the container's for anything waits for the container.
//
// SECURITY: everything there may be the container's: no link is followed, nothing leads out, and opening does not wait. What is
// mounted on the way is looked at by descriptor, so that it can't change in between.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "facts/mounts.h"
#include "support/unique_fd.h"

namespace bulkhead::facts {

class LocalFiles {
 public:
  /// `known`: mounts that were there at the start, as mountinfo; what the process sees now is read.
  LocalFiles(pid_t pid, const std::string& known);
  /// Invalid where it isn't there, or isn't the kernel's own answer.
  UniqueFd open(const char* path, int flags) const;
  /// A folder in an open one.
  UniqueFd open_folder(int parent, const char* name) const;

 private:
  bool is_local(int fd) const;

  pid_t pid_;
  std::vector<MountEntry> mounts_;
};

/// Whether somebody outside of the kernel answers for files of this type.
bool is_served(std::string_view type);

}  // namespace bulkhead::facts
