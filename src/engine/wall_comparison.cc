#include "engine/wall_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "facts/capability_names.h"
#include "facts/facts.pb.h"
#include "facts/process.h"
#include "facts/reach.h"

namespace bulkhead::engine {
namespace {

constexpr std::array kOwnKinds = {"mount", "pid", "network", "ipc", "uts", "cgroup"};

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

std::string title(const facts::Process& process) {
  std::string program = process.command().substr(0, process.command().find(' ')).substr(0, 40);
  return fmt::format("process {} ({})", process.pid(), program);
}

std::string limit_text(int64_t number) { return number < 0 ? "unlimited" : std::to_string(number); }

/// One container's processes on the kernel that they run on.
class ContainerComparison {
 public:
  ContainerComparison(const oci::Spec& asked, const facts::Wall& wall, const std::map<uint64_t, std::string>& others,
                      std::vector<Difference>& found)
      : asked_(asked), wall_(wall), others_(others), found_(found) {
    if (asked.process.capabilities) {
      capabilities_ = facts::capability_bits(asked.process.capabilities->bounding);
    }
    if (asked.linux_.seccomp) {
      facts::FilterChain chain = facts::reach_of(*asked.linux_.seccomp);
      reach_ = chain.reach_size() > 0 ? std::optional(chain.reach(0)) : std::nullopt;
    }
  }

  void run() {
    for (const facts::Process& process : wall_.processes()) {
      compare_capabilities(process);
      compare_privileges(process);
      compare_seccomp(process);
      compare_namespaces(process);
      if (process.role() == facts::ROLE_STRANGER) {
        add("limits of " + title(process), "the container's",
            "none of them: it is in the container's namespaces, but not in its cgroup");
      }
    }
    compare_limits();
    compare_paths();
    compare_devices();
  }

 private:
  void add(std::string what, std::string asked, std::string in_force, bool weaker = true) {
    found_.push_back({.what = std::move(what), .asked = std::move(asked), .in_force = std::move(in_force), .weaker = weaker});
  }

  void compare_capabilities(const facts::Process& process) {
    uint64_t more = (process.effective() | process.permitted() | process.bounding()) & ~capabilities_;
    if (more != 0) {
      add("capabilities of " + title(process), joined(facts::capability_names(capabilities_)),
          "also " + joined(facts::capability_names(more)));
    }
  }

  void compare_privileges(const facts::Process& process) {
    if (asked_.process.no_new_privileges && !process.no_new_privileges()) {
      add("no new privileges, " + title(process), "on", "off");
    }
  }

  void compare_seccomp(const facts::Process& process) {
    if (!asked_.linux_.seccomp) {
      return;
    }
    std::string what = "system calls of " + title(process);
    std::string asked = reach_ ? fmt::format("{} of {}", reach_->open() + reach_->conditional(), reach_->known()) : "filtered";
    if (process.seccomp_mode() == 0) {
      add(what, asked, "no filter: all of them");
      return;
    }
    auto index = static_cast<int>(process.filter_chain()) - 1;
    if (!reach_ || index < 0 || index >= wall_.chains_size() || wall_.chains(index).reach_size() == 0) {
      return;  // a gap says why it wasn't read
    }
    const facts::Reach& real = wall_.chains(index).reach(0);
    if (real.abi() == reach_->abi() && is_wider(real.calls(), reach_->calls())) {
      add(what, asked,
          fmt::format("{} of {}, some of which are not among those", real.open() + real.conditional(), real.known()));
    }
  }

  static bool is_wider(const std::string& one, const std::string& other) {
    for (size_t i = 0; i < one.size(); ++i) {
      int mine = static_cast<unsigned char>(one[i]);
      int theirs = i < other.size() ? static_cast<unsigned char>(other[i]) : 0;
      if ((mine & ~theirs) != 0) {
        return true;
      }
    }
    return false;
  }

  bool asked_own(std::string_view kind) const {
    const auto& list = asked_.linux_.namespaces;
    return std::any_of(list.begin(), list.end(), [&](const oci::Namespace& each) { return each.type == kind; });
  }

  void compare_namespaces(const facts::Process& process) {
    const facts::Process& init = wall_.processes(0);
    for (const facts::Namespace& each : process.namespaces()) {
      if (!asked_own(each.kind())) {
        continue;
      }
      std::string what = fmt::format("{} namespace of {}", each.kind(), title(process));
      if (each.outer()) {
        add(what, "the container's own", "that of its kernel's own system, outside of the container");
      } else if (auto other = others_.find(each.inode()); other != others_.end()) {
        add(what, "the container's own", fmt::format("shared with container {}", other->second));
      } else if (each.inode() != facts::namespace_of(init, each.kind())) {
        add(what, "the container's", "another one", false);
      }
    }
  }

  const facts::Limit* limit(std::string_view name) const {
    auto found =
        std::find_if(wall_.limits().begin(), wall_.limits().end(), [&](const auto& each) { return each.name() == name; });
    return found == wall_.limits().end() ? nullptr : &*found;
  }

  void compare_limit(const char* name, std::optional<int64_t> wanted) {
    const facts::Limit* real = limit(name);
    if (!wanted || *wanted <= 0 || real == nullptr || real->number() == *wanted) {
      return;
    }
    add(fmt::format("{} limit", name), limit_text(*wanted), fmt::format("{} ({})", limit_text(real->number()), real->file()),
        real->number() < 0 || real->number() > *wanted);
  }

  void compare_limits() {
    constexpr int64_t kPage = 4096;  // the kernel rounds bytes down to it
    const oci::Resources& resources = asked_.linux_.resources;
    const auto in_pages = [](std::optional<int64_t> bytes) {
      return bytes && *bytes > 0 ? std::optional(*bytes / kPage * kPage) : std::nullopt;
    };
    compare_limit("memory", in_pages(resources.memory_limit));
    compare_limit("memory+swap", in_pages(resources.memory_swap));
    compare_limit("pids", resources.pids_limit);
    compare_limit("cpu-quota", resources.cpu_quota);
    const facts::Limit* cpus = limit("cpus");
    if (!resources.cpuset_cpus.empty() && cpus != nullptr && cpus->text() != resources.cpuset_cpus) {
      add("processors", resources.cpuset_cpus, cpus->text());
    }
  }

  /// Below a place where something was asked for: a mount may bring others with it.
  static bool is_below(const std::string& path, const std::string& place) {
    return path == place || (path.starts_with(place) && (place.ends_with('/') || path[place.size()] == '/'));
  }

  bool was_asked_for(const std::string& inside) const {
    const auto covers = [&](const std::string& place) { return is_below(inside, place); };
    const oci::Linux& section = asked_.linux_;
    bool mounted = std::any_of(asked_.mounts.begin(), asked_.mounts.end(), [&](const oci::Mount& mount) {
      return (mount.type == "bind" || mount.type == "none" || mount.type.empty()) && covers(mount.destination);
    });
    bool device =
        std::any_of(section.devices.begin(), section.devices.end(), [&](const oci::Device& each) { return covers(each.path); });
    return mounted || device || std::any_of(section.masked_paths.begin(), section.masked_paths.end(), covers) ||
           std::any_of(section.readonly_paths.begin(), section.readonly_paths.end(), covers);
  }

  void compare_paths() {
    for (const facts::VisiblePath& path : wall_.paths()) {
      if (path.kind() == facts::PATH_HOST && !was_asked_for(path.inside())) {
        add(fmt::format("'{}'", path.inside()), "no file of the host", fmt::format("'{}' of the host", path.source()));
      }
      if (path.inside() == "/" && asked_.root.readonly && !path.read_only()) {
        add("the root file system", "read-only", "writable");
      }
    }
  }

  static bool covers(const oci::DeviceRule& rule, std::string_view kind, std::string_view major, std::string_view minor,
                     char access) {
    const auto fits = [](const std::optional<int64_t>& wanted, std::string_view number) {
      return !wanted || (number != "*" && std::to_string(*wanted) == number);
    };
    return rule.allow && (rule.type == 'a' || kind == std::string(1, rule.type)) && fits(rule.major, major) &&
           fits(rule.minor, minor) && rule.access.find(access) != std::string::npos;
  }

  void compare_devices() {
    const auto& rules = asked_.linux_.resources.devices;
    for (const std::string& line : wall_.device_rules()) {
      size_t colon = line.find(':');
      size_t blank = line.find(' ', 2);
      if (line.size() < 5 || colon == std::string::npos || blank == std::string::npos || colon > blank) {
        continue;
      }
      std::string kind = line.substr(0, 1);
      std::string major = line.substr(2, colon - 2);
      std::string minor = line.substr(colon + 1, blank - colon - 1);
      std::string access = line.substr(blank + 1);
      bool all = std::all_of(access.begin(), access.end(), [&](char each) {
        return std::any_of(rules.begin(), rules.end(),
                           [&](const auto& rule) { return covers(rule, kind, major, minor, each); });
      });
      if (!all) {
        add("devices", "not " + line, line);
      }
    }
  }

  const oci::Spec& asked_;
  const facts::Wall& wall_;
  const std::map<uint64_t, std::string>& others_;
  std::vector<Difference>& found_;
  uint64_t capabilities_ = 0;
  std::optional<facts::Reach> reach_;
};

/// QEMU's jail is the same for all (sandbox/vm/jail.h).
void compare_jail(const facts::Wall& wall, std::vector<Difference>& found) {
  const auto add = [&](const facts::Process& process, const char* what, std::string asked, std::string in_force) {
    found.push_back({.what = fmt::format("QEMU's jail: {} of {}", what, title(process)),
                     .asked = std::move(asked),
                     .in_force = std::move(in_force)});
  };
  for (const facts::Process& process : wall.processes()) {
    if (process.user() == 0) {
      add(process, "user", "an unprivileged one", "root");
    }
    bool own_users = std::none_of(process.namespaces().begin(), process.namespaces().end(),
                                  [](const facts::Namespace& each) { return each.kind() == "user" && each.outer(); });
    uint64_t held = process.effective() | process.permitted();
    if (held != 0 && !own_users) {
      add(process, "capabilities", "none", joined(facts::capability_names(held)));
    }
    if (!process.no_new_privileges()) {
      add(process, "no new privileges", "on", "off");
    }
    if (process.seccomp_mode() == 0) {
      add(process, "seccomp", "a filter", "none");
    }
    for (const facts::Namespace& each : process.namespaces()) {
      bool own = std::find(kOwnKinds.begin(), kOwnKinds.end(), each.kind()) != kOwnKinds.end();
      if (own && each.outer()) {
        add(process, (each.kind() + " namespace").c_str(), "its own", "the host's");
      }
    }
  }
  for (const facts::Limit& limit : wall.limits()) {
    if ((limit.name() == "memory" || limit.name() == "pids") && limit.number() < 0) {
      found.push_back({.what = fmt::format("QEMU's {} limit", limit.name()),
                       .asked = "that of its cgroup",
                       .in_force = fmt::format("unlimited ({})", limit.file())});
    }
  }
  for (const facts::VisiblePath& path : wall.paths()) {
    if (path.kind() == facts::PATH_HOST && !path.read_only() && path.inside() == "/") {
      found.push_back({.what = "QEMU's jail: root", .asked = "an empty one", .in_force = path.source()});
    }
  }
}

void compare_kernel(const WallQuestion& question, const facts::Wall& container, std::vector<Difference>& found) {
  const std::string& seen = container.kernel().boot_id();
  bool same = seen == question.host.boot_id();
  if (!seen.empty() && same == question.own_kernel) {
    found.push_back({.what = "kernel",
                     .asked = question.own_kernel ? "one of its own" : "the host's",
                     .in_force = same ? "the host's, by its boot id" : "another one, by its boot id"});
  }
}

}  // namespace

std::vector<Difference> compare_wall(const WallQuestion& question) {
  std::vector<Difference> found;
  const facts::Wall& container = question.own_kernel ? question.wall.inside() : question.wall;
  compare_kernel(question, container, found);
  if (container.processes_size() > 0) {
    ContainerComparison(question.asked, container, question.others, found).run();
  }
  if (question.own_kernel) {
    compare_jail(question.wall, found);
  }
  return found;
}

}  // namespace bulkhead::engine
