// What was mounted when a container, or a machine's jail, had been made and nothing of it ran yet; and which of today's mounts
// were given so. A mount is known again by its place, its file system and the folder of it that it shows; where the folder was
// renamed or removed since, by its inode.
//
// Whoever makes the wall remembers; the shim's thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "facts/mounts.h"

namespace bulkhead::facts {

struct FileIdentity {
  uint64_t mount = 0;  // its id in mountinfo
  uint64_t device = 0, inode = 0;
};

struct GivenBind {
  std::string destination;  // as it was asked for
  FileIdentity file;
};

struct GivenMounts {
  std::string mountinfo;                // empty: it could not be read, nothing is known
  std::map<uint64_t, GivenBind> binds;  // by the mount's id
};

/// `binds`: destinations of what comes from outside. Looks at each: a file system that doesn't answer is waited for. Throws
/// nothing.
GivenMounts remember_mounts(pid_t pid, const std::vector<std::string>& binds);

/// The file on which the path ends now, below the process's root. SECURITY: nothing is asked of a file system, which may be
/// served by the container itself: nullopt where the kernel would have to.
std::optional<FileIdentity> identity_without_asking(pid_t pid, const std::string& path);

using Identify = std::function<std::optional<FileIdentity>(const std::string& path)>;

/// All that `now` holds, with its standing, and what is gone. `host`: the mounts of the kernel's own system. False where the
/// two can't be compared: the process has another root than it had, so that paths mean something else.
bool tell_mounts(const std::vector<MountEntry>& now, const std::vector<MountEntry>& host, const GivenMounts& given,
                 const Identify& identify, std::vector<VisiblePath>& told);

}  // namespace bulkhead::facts
