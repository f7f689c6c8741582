// Paths inside a folder that is "/" to them: the root of a container, running or not. The kernel resolves them.
//
// SECURITY: processes of the container may change everything below while we look: nothing is checked by name first and used by
// name later; whatever was opened is a descriptor from then on. Symbolic links, "..", and mounts swapped meanwhile lead to
// other places in the same root, never out of it (openat2(2), RESOLVE_IN_ROOT; CVE-2018-15664), and links of /proc to nowhere.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "archive/file_request.h"
#include "support/unique_fd.h"

namespace bulkhead::archive {

/// openat2(2). An invalid descriptor, and errno, where it fails. `resolve`: RESOLVE_* beside those said above.
UniqueFd open_in_root(int root, const std::string& path, uint64_t flags, uint64_t resolve = 0);

/// SECURITY: file systems that are the kernel's own words (proc, sysfs, cgroups, mqueue): their files do things when they are
/// read, and have no size, or a wrong one. They are passed over, as they are where a container's root is looked at from
/// outside.
bool is_kernel_file_system(int fd);

/// Path of a file of ours that leads to what a descriptor holds, whatever kind of descriptor (proc(5), /proc/self/fd).
std::string through_descriptor(int fd);

/// Which mount of the kernel's table a descriptor leads to; 0 where it can't be had.
uint64_t mount_id(int fd);

/// Throws kNotFound where nothing is there, kInvalidArgument where a part of the path is no folder or one of the kernel's.
PathStat stat_path(int root, const std::string& path);

/// The first `limit` bytes of a file (not a link's, a device's); nullopt where there is none.
std::optional<std::string> read_in_root(int root, const std::string& path, size_t limit);

/// What went wrong at a path inside a container, from errno.
[[noreturn]] void fail_at(const std::string& path, const char* doing);

}  // namespace bulkhead::archive
