#include "facts/mounts.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "facts/facts.pb.h"

namespace bulkhead::facts {
namespace {

constexpr size_t kLongest = 512;  // bytes of a path that are told

// Space, tab, newline and backslash are written as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '\\' && text.size() - i > 3;
    if (escape) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

bool has_option(const std::string& options, std::string_view wanted) {
  std::istringstream words(options);
  for (std::string word; std::getline(words, word, ',');) {
    if (word == wanted) {
      return true;
    }
  }
  return false;
}

PathKind kind_of(const MountEntry& entry, bool on_host) {
  static constexpr std::array<std::string_view, 9> kKernel{"proc",   "sysfs",      "cgroup",  "cgroup2", "mqueue",
                                                           "devpts", "securityfs", "debugfs", "bpf"};
  bool kernels = std::find(kKernel.begin(), kKernel.end(), entry.type) != kKernel.end();
  if (entry.point == "/" && entry.type == "overlay") {
    return PATH_ROOT;
  }
  if (on_host && entry.type == "devtmpfs" && entry.root == "/null" && entry.read_only()) {
    return PATH_MASK;
  }
  // A cgroup hierarchy and sysfs are one for the whole kernel; a part of proc that the host has mounted is the host's proc.
  if (on_host && (!kernels || entry.type == "proc")) {
    return PATH_HOST;
  }
  if (kernels) {
    return PATH_KERNEL;
  }
  return entry.type == "tmpfs" || entry.type == "devtmpfs" ? PATH_MEMORY : PATH_ROOT;
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text, size_t limit) {
  std::vector<MountEntry> entries;
  std::istringstream lines{std::string(text)};
  for (std::string line; entries.size() < limit && std::getline(lines, line);) {
    size_t separator = line.find(" - ");
    if (separator == std::string::npos) {
      continue;
    }
    std::istringstream before(line.substr(0, separator));
    std::istringstream after(line.substr(separator + 3));
    MountEntry entry;
    before >> entry.id >> entry.parent >> entry.device >> entry.root >> entry.point >> entry.options;
    after >> entry.type >> entry.source;
    if (before.fail()) {
      continue;
    }
    for (std::string optional; before >> optional;) {
      entry.propagates = entry.propagates || optional.starts_with("shared:") || optional.starts_with("master:");
    }
    entry.root = unescape(entry.root);
    entry.point = unescape(entry.point);
    entry.source = unescape(entry.source);
    entries.push_back(std::move(entry));
  }
  return entries;
}

bool MountEntry::read_only() const { return has_option(options, "ro"); }

bool is_below(std::string_view path, std::string_view place) {
  return path == place || (path.starts_with(place) && (place.ends_with('/') || path[place.size()] == '/'));
}

std::string host_path(const MountEntry& entry, const std::vector<MountEntry>& host) {
  const MountEntry* best = nullptr;
  for (const MountEntry& each : host) {
    bool holds = each.device == entry.device && is_below(entry.root, each.root);
    // The mount that shows the least beside it; of equal ones the first, which is the oldest.
    if (holds && (best == nullptr || each.root.size() > best->root.size())) {
      best = &each;
    }
  }
  if (best == nullptr) {
    return "";
  }
  std::string below = best->root == "/" ? entry.root : entry.root.substr(best->root.size());
  std::string path = best->point == "/" ? below : best->point + (below == "/" ? "" : below);
  return path.empty() ? "/" : path;
}

VisiblePath describe_mount(const MountEntry& entry, const std::vector<MountEntry>& host) {
  std::string on_host = host_path(entry, host);
  VisiblePath path;
  path.set_kind(kind_of(entry, !on_host.empty()));
  path.set_inside(entry.point.substr(0, kLongest));
  path.set_type(entry.type.substr(0, kLongest));
  path.set_source((path.kind() == PATH_HOST ? on_host : entry.source).substr(0, kLongest));
  path.set_read_only(entry.read_only());
  return path;
}

}  // namespace bulkhead::facts
