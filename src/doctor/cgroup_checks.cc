// Control groups: version 1, 2 or both, with the controllers that limits need.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>

#include "doctor/cgroup_remedy.h"
#include "doctor/doctor.h"
#include "linux/cgroup_layout.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::doctor {
namespace {

// v2 has no devices controller (eBPF does that) and freezes every group.
constexpr std::array<std::string_view, 4> kUnified = {"memory", "cpu", "cpuset", "pids"};
constexpr std::array<std::string_view, 6> kLegacy = {"memory", "cpu", "cpuset", "pids", "devices", "freezer"};

std::vector<std::string> unified_controllers(const linux::CgroupLayout& layout) {
  std::istringstream words(read_file(layout.unified / "cgroup.controllers", 4096));
  return {std::istream_iterator<std::string>(words), {}};
}

std::string join(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) {
    text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

std::string unified_remedy(const std::vector<std::string_view>& missing) {
  bool memory = std::find(missing.begin(), missing.end(), "memory") != missing.end();
  return memory ? "boot the kernel with cgroup_enable=memory swapaccount=1"
                : "boot the kernel without cgroup_disable=, or use one that has these controllers";
}

Check check_controllers(const linux::CgroupLayout& layout) {
  std::vector<std::string_view> found, missing;
  if (layout.is_unified()) {
    auto there = unified_controllers(layout);
    for (std::string_view name : kUnified) {
      (std::find(there.begin(), there.end(), name) != there.end() ? found : missing).push_back(name);
    }
  } else {
    for (std::string_view name : kLegacy) {
      (layout.find(name) != nullptr ? found : missing).push_back(name);
    }
  }
  if (missing.empty()) {
    return {.subject = "cgroup controllers", .found = join(found), .remedy = {}};
  }
  return {.health = Health::kMissing,
          .subject = "cgroup controllers",
          .found = "not there: " + join(missing),
          .remedy = layout.is_unified() ? unified_remedy(missing)
                                        : remedy_of_missing(missing, read_file("/proc/cgroups", 64UL << 10),
                                                            layout.v1.front().mount_point.parent_path())};
}

}  // namespace

Checks cgroup_checks() {
  const linux::CgroupLayout& layout = linux::cgroup_layout();
  if (layout.v1.empty() && layout.unified.empty()) {
    return {{.health = Health::kMissing,
             .subject = "cgroups",
             .found = "no hierarchy is mounted",
             .remedy = "mount -t cgroup2 none /sys/fs/cgroup"}};
  }
  const char* version = layout.is_unified()      ? "version 2"
                        : layout.unified.empty() ? "version 1"
                                                 : "version 1 beside version 2 (hybrid)";
  Checks checks = {{.subject = "cgroups", .found = version, .remedy = {}}};
  try {
    checks.push_back(check_controllers(layout));
  } catch (const Error& error) {
    checks.push_back({.health = Health::kMissing, .subject = "cgroup controllers", .found = error.message(), .remedy = {}});
  }
  return checks;
}

}  // namespace bulkhead::doctor
