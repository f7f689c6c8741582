// Where this host's control groups are: v1, v2, or hybrid (v1 controllers beside a v2 tree). From /proc/self/mountinfo.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::linux {

struct CgroupHierarchy {
  std::filesystem::path mount_point;
  std::vector<std::string> controllers;  // "memory"; "name=systemd"; {"cpu", "cpuacct"} where they share one. Empty for v2.
};

struct CgroupLayout {
  std::vector<CgroupHierarchy> v1;  // empty: the host is v2 only
  std::filesystem::path unified;    // mount point of the v2 tree, or empty
  bool is_unified() const { return v1.empty() && !unified.empty(); }
  /// Where `controller` is mounted (v1), or nullptr.
  const CgroupHierarchy* find(std::string_view controller) const;
};

/// Parses mountinfo text (proc(5)); split out for tests.
CgroupLayout parse_cgroup_layout(std::string_view mountinfo);
/// This process's, read once.
const CgroupLayout& cgroup_layout();

}  // namespace bulkhead::linux
