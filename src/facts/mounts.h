// /proc/PID/mountinfo (proc(5)), and which files of the host a container sees through its mounts. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::facts {

class VisiblePath;

struct MountEntry {
  uint64_t id = 0, parent = 0;
  std::string device;  // "major:minor" of its file system
  std::string root;    // the folder or file of that file system which is mounted
  std::string point;
  std::string options, type, source;
  bool propagates = false;  // what is mounted below it elsewhere, or here, comes here, or goes there
  bool read_only() const;
};

/// At most `limit` entries; lines that are none are left out.
std::vector<MountEntry> parse_mountinfo(std::string_view text, size_t limit);

/// `path` is `place`, or below it.
bool is_below(std::string_view path, std::string_view place);

/// Where the host has the same files; "" where it doesn't have that file system mounted, or only other folders of it.
std::string host_path(const MountEntry& entry, const std::vector<MountEntry>& host);

/// What `entry` of a container's mounts is.
VisiblePath describe_mount(const MountEntry& entry, const std::vector<MountEntry>& host);

}  // namespace bulkhead::facts
