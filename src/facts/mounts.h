// /proc/PID/mountinfo (proc(5)), and which files of the host a container sees through its mounts. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::facts {

class VisiblePath;

struct MountEntry {
  std::string device;  // "major:minor" of its file system
  std::string root;    // the folder or file of that file system which is mounted
  std::string point;
  std::string options, type, source;
};

/// At most `limit` entries; lines that are none are left out.
std::vector<MountEntry> parse_mountinfo(std::string_view text, size_t limit);

/// Where the host has the same files; "" where it doesn't have that file system mounted, or only other folders of it.
std::string host_path(const MountEntry& entry, const std::vector<MountEntry>& host);

/// What `entry` of a container's mounts is.
VisiblePath describe_mount(const MountEntry& entry, const std::vector<MountEntry>& host);

}  // namespace bulkhead::facts
