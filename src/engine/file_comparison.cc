#include "engine/file_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/limit_comparison.h"
#include "facts/facts.pb.h"
#include "facts/mounts.h"

namespace bulkhead::engine {
namespace {

using facts::is_below;

bool has_option(const oci::Mount& mount, std::string_view wanted) {
  return std::find(mount.options.begin(), mount.options.end(), wanted) != mount.options.end();
}

/// Where it was asked for: the same but for links in the image.
const std::string& place_of(const facts::VisiblePath& path) {
  return path.destination().empty() ? path.inside() : path.destination();
}

/// Below a place where something was asked for: a mount may bring others with it.
bool was_asked_for(const oci::Spec& asked, const std::string& place) {
  const auto covers = [&](const std::string& each) { return is_below(place, each); };
  const oci::Linux& section = asked.linux_;
  return std::any_of(asked.mounts.begin(), asked.mounts.end(),
                     [&](const oci::Mount& mount) { return oci::is_bind(mount) && covers(mount.destination); }) ||
         std::any_of(section.devices.begin(), section.devices.end(),
                     [&](const oci::Device& each) { return covers(each.path); }) ||
         std::any_of(section.masked_paths.begin(), section.masked_paths.end(), covers) ||
         std::any_of(section.readonly_paths.begin(), section.readonly_paths.end(), covers);
}

bool was_asked_readonly(const oci::Spec& asked, const std::string& place) {
  const auto& paths = asked.linux_.readonly_paths;
  return std::find(paths.begin(), paths.end(), place) != paths.end() ||
         std::any_of(asked.mounts.begin(), asked.mounts.end(),
                     [&](const oci::Mount& mount) { return mount.destination == place && has_option(mount, "ro"); });
}

/// Through these a container reaches the kernel, unless something of them is hidden or read-only.
bool is_kernels(const facts::VisiblePath& path) {
  static constexpr std::array<std::string_view, 7> kTypes{"proc", "sysfs", "cgroup", "cgroup2", "securityfs", "debugfs", "bpf"};
  return path.kind() == facts::PATH_KERNEL && std::find(kTypes.begin(), kTypes.end(), path.type()) != kTypes.end();
}

std::string seen(const facts::VisiblePath& path) {
  return fmt::format("'{}' of the host, {}", path.source(), path.read_only() ? "read-only" : "writable");
}

class PathComparison {
 public:
  PathComparison(const oci::Spec& asked, std::vector<Difference>& found) : asked_(asked), found_(found) {}

  void compare(const facts::VisiblePath& path) {
    if (path.standing() == facts::STANDING_GONE) {
      compare_gone(path);
    } else if (path.kind() == facts::PATH_HOST &&
               (path.standing() == facts::STANDING_ADDED || !was_asked_for(asked_, place_of(path)))) {
      add(path, "no file of the host", seen(path));
    } else if (path.standing() == facts::STANDING_ADDED) {
      compare_added(path);
    } else if (path.inside() == "/") {
      if (asked_.root.readonly && !path.read_only()) {
        found_.push_back({.what = "the root file system", .asked = "read-only", .in_force = "writable"});
      }
    } else if (!path.read_only() && (path.read_only_at_start() || was_asked_readonly(asked_, place_of(path)))) {
      add(path, "read-only", "writable");
    }
  }

 private:
  void add(const facts::VisiblePath& path, const char* asked, std::string in_force) {
    found_.push_back({.what = fmt::format("'{}'", path.inside()), .asked = asked, .in_force = std::move(in_force)});
  }

  void compare_gone(const facts::VisiblePath& path) {
    const auto& masked = asked_.linux_.masked_paths;
    if (path.kind() == facts::PATH_MASK || std::find(masked.begin(), masked.end(), path.inside()) != masked.end()) {
      add(path, "hidden", "shown");
    } else if (path.kind() != facts::PATH_MEMORY) {  // else it was a folder of its own over the kernel's: /sys/fs/cgroup
      add(path, "read-only", "writable");
    }
  }

  /// A second /proc has none of the first one's masks.
  void compare_added(const facts::VisiblePath& path) {
    bool confined = !asked_.linux_.masked_paths.empty() || !asked_.linux_.readonly_paths.empty();
    if (confined && is_kernels(path)) {
      add(path, "nothing of the kernel's",
          fmt::format("another {}, {}", path.type(), path.read_only() ? "read-only" : "writable"));
    }
  }

  const oci::Spec& asked_;
  std::vector<Difference>& found_;
};

bool node_was_asked_for(const oci::Spec& asked, const facts::Device& node) {
  char kind = node.kind() == "b" ? 'b' : 'c';
  // A node of what may be used anyway is no more than that.
  const auto& rules = asked.linux_.resources.devices;
  if (is_allowed(rules, {kind, node.major(), node.minor(), 'r'}) ||
      is_allowed(rules, {kind, node.major(), node.minor(), 'w'})) {
    return true;
  }
  const auto& devices = asked.linux_.devices;
  return std::any_of(devices.begin(), devices.end(),
                     [&](const oci::Device& each) {
                       return each.path == node.path() && (each.type == 'b') == (kind == 'b') && each.major == node.major() &&
                              each.minor == node.minor();
                     }) ||
         std::any_of(asked.mounts.begin(), asked.mounts.end(),
                     [&](const oci::Mount& mount) { return oci::is_bind(mount) && is_below(node.path(), mount.destination); });
}

}  // namespace

void compare_paths(const oci::Spec& asked, const facts::Wall& wall, std::vector<Difference>& found) {
  PathComparison comparison(asked, found);
  for (const facts::VisiblePath& path : wall.paths()) {
    comparison.compare(path);
  }
}

void compare_device_nodes(const oci::Spec& asked, const facts::Wall& wall, std::vector<Difference>& found) {
  for (const facts::Device& node : wall.devices()) {
    if (!node_was_asked_for(asked, node)) {
      bool open = node.access().find_first_of("rw?") != std::string::npos;
      found.push_back({.what = fmt::format("'{}'", node.path()),
                       .asked = "no such device",
                       .in_force = fmt::format("{} {}:{}{}", node.kind(), node.major(), node.minor(),
                                               open ? "" : ", closed by the cgroup")});
    }
  }
}

void compare_jail_paths(const facts::Wall& wall, std::vector<Difference>& found) {
  const auto add = [&](const facts::VisiblePath& path, const char* asked, std::string in_force) {
    found.push_back({.what = fmt::format("QEMU's jail: '{}'", path.inside()), .asked = asked, .in_force = std::move(in_force)});
  };
  for (const facts::VisiblePath& path : wall.paths()) {
    if (path.standing() == facts::STANDING_ADDED) {
      add(path, "nothing but what it was given", path.kind() == facts::PATH_HOST ? seen(path) : "a " + path.type());
    } else if (path.standing() == facts::STANDING_GONE || (path.read_only_at_start() && !path.read_only())) {
      add(path, "read-only", "writable");
    } else if (path.kind() == facts::PATH_HOST && !path.read_only() && path.inside() == "/") {
      found.push_back({.what = "QEMU's jail: root", .asked = "an empty one", .in_force = path.source()});
    }
  }
}

}  // namespace bulkhead::engine
