#include "linux/cgroup_layout.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "support/files.h"

namespace bulkhead::linux {

namespace {

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::vector<std::string> controllers_of(const std::string& super_options) {
  static constexpr std::array<std::string_view, 14> kKnown{"cpu",      "cpuacct", "cpuset", "memory",  "devices",
                                                           "freezer",  "blkio",   "pids",   "net_cls", "perf_event",
                                                           "net_prio", "hugetlb", "rdma",   "misc"};
  std::vector<std::string> controllers;
  std::istringstream words(super_options);
  for (std::string word; std::getline(words, word, ',');) {
    if (word.starts_with("name=") || std::find(kKnown.begin(), kKnown.end(), word) != kKnown.end()) {
      controllers.push_back(word);
    }
  }
  return controllers;
}

}  // namespace

const CgroupHierarchy* CgroupLayout::find(std::string_view controller) const {
  for (const CgroupHierarchy& hierarchy : v1) {
    if (std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), controller) != hierarchy.controllers.end()) {
      return &hierarchy;
    }
  }
  return nullptr;
}

CgroupLayout parse_cgroup_layout(std::string_view mountinfo) {
  CgroupLayout layout;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    size_t separator = line.find(" - cgroup");
    if (separator == std::string::npos) {
      continue;
    }
    std::istringstream fields(line);
    std::istringstream after(line.substr(separator + 3));
    std::string skipped, root, mount_point, type, source, super_options;
    fields >> skipped >> skipped >> skipped >> root >> mount_point;
    after >> type >> source >> super_options;
    if (type == "cgroup2") {
      if (layout.unified.empty()) {
        layout.unified = unescape(mount_point);
      }
    } else if (std::vector<std::string> controllers = controllers_of(super_options); !controllers.empty()) {
      if (layout.find(controllers[0]) == nullptr) {  // the first mount of a hierarchy; others show the same
        layout.v1.push_back({unescape(mount_point), std::move(controllers)});
      }
    }
  }
  return layout;
}

const CgroupLayout& cgroup_layout() {
  static const CgroupLayout layout = parse_cgroup_layout(read_file("/proc/self/mountinfo"));
  return layout;
}

}  // namespace bulkhead::linux
