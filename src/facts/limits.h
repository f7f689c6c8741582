// The limits of a cgroup as its files tell them (the kernel's cgroup-v1/*.rst and cgroup-v2.rst). Reads files only.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::facts {

class Wall;

/// A line of /proc/PID/cgroup (cgroups(7)): where the process is in one hierarchy.
struct CgroupPlace {
  std::vector<std::string> controllers;  // empty: the v2 tree
  std::string path;
};
std::vector<CgroupPlace> parse_cgroup_file(std::string_view text);

/// A group, and the top of its hierarchy: what a group above sets less holds too.
struct LimitFolder {
  std::filesystem::path folder, top;
};

/// Adds what files there are: v1's of all hierarchies that are given, or v2's.
void read_limits(const std::vector<LimitFolder>& folders, Wall& wall);

/// -1 where the text says "unlimited": "max", -1, or v1's largest number of bytes. Throws kDataLoss where it is no number.
int64_t parse_limit(std::string_view text);

}  // namespace bulkhead::facts
