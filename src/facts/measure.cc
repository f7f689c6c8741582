#include "facts/measure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include "facts/devices.h"
#include "facts/facts.pb.h"
#include "facts/kernel.h"
#include "facts/limits.h"
#include "facts/local_files.h"
#include "facts/mounts.h"
#include "facts/process.h"
#include "facts/status.h"
#include "linux/cgroup_layout.h"
#include "linux/installed_filters.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::facts {
namespace {

constexpr int kMostProcesses = 128;
constexpr int kMostStopped = 32;  // for their filters
constexpr int kMostMounts = 256;
constexpr std::chrono::milliseconds kPatience{100};

void add_gap(Wall& wall, const char* what, const std::string& why) {
  Gap& gap = *wall.add_gaps();
  gap.set_what(what);
  gap.set_why(why);
}

/// Runs one part; its failure is a gap.
template <typename Part>
void attempt(Wall& wall, const char* what, Part part) {
  try {
    part();
  } catch (const std::exception& error) {
    add_gap(wall, what, error.what());
  }
}

class Measurement {
 public:
  Measurement(const Subject& subject, Wall& wall) : subject_(subject), wall_(wall) {}

  void run() {
    attempt(wall_, "kernel", [&] {
      is_machine() ? fill_own_kernel(*wall_.mutable_kernel())
                   : fill_kernel_seen_by(subject_.init, files(), *wall_.mutable_kernel());
    });
    add_processes();
    add_strangers();
    add_filters();
    attempt(wall_, "limits", [&] { add_limits(); });
    attempt(wall_, "paths", [&] { add_paths(); });
    attempt(wall_, "devices", [&] { add_devices(); });
    if (has_ended()) {  // the kernel has taken it out of its cgroups and namespaces meanwhile
      wall_.Clear();
      add_gap(wall_, "all", "its first process has just ended");
    }
  }

 private:
  bool is_machine() const { return subject_.kind == Kind::kMachine; }
  LocalFiles files() const { return {subject_.init, subject_.mounts.mountinfo}; }

  bool has_ended() const {
    Process init;
    try {
      describe_process(subject_.init, init);
    } catch (const Error&) {
      return true;
    }
    return init.ended();
  }

  void add_process(pid_t pid, Role role, const std::string& exec_id) {
    if (wall_.processes_size() >= kMostProcesses) {
      wall_.set_more_processes(wall_.more_processes() + 1);
      return;
    }
    try {
      Process process;
      process.set_role(role);
      process.set_exec_id(exec_id);
      describe_process(pid, process);
      if (role == ROLE_INIT || role == ROLE_EXEC) {
        read_resource_limits(read_file(fmt::format("/proc/{}/limits", pid), 4096), process);
      }
      if (role == ROLE_INIT || role == ROLE_MACHINE || !process.ended()) {  // what waits to be collected runs nothing
        *wall_.add_processes() = std::move(process);
      }
    } catch (const Error&) {  // it has ended
    }
  }

  void add_processes() {
    add_process(subject_.init, is_machine() ? ROLE_MACHINE : ROLE_INIT, "");
    seen_.insert(subject_.init);
    for (const auto& [pid, id] : subject_.execs) {
      add_process(pid, ROLE_EXEC, id);
      seen_.insert(pid);
    }
    add_of_cgroup();
  }

  void add_of_cgroup() {
    attempt(wall_, "processes", [&] {
      for (pid_t pid : subject_.cgroup.processes()) {
        if (seen_.insert(pid).second) {
          add_process(pid, ROLE_OTHER, "");
        }
      }
    });
  }

  /// Whoever is in the container's own PID or mount namespace, but not under its limits.
  void add_strangers() {
    std::vector<std::pair<const char*, uint64_t>> own;
    for (const auto& [kind, file] : {std::pair{"pid", "pid"}, {"mount", "mnt"}}) {
      uint64_t inode = namespace_inode(subject_.init, file);
      if (inode != 0 && inode != namespace_inode(1, file) && inode != namespace_inode(::getpid(), file)) {
        own.emplace_back(file, inode);
      }
    }
    std::vector<pid_t> inside;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
      std::string name = entry.path().filename();
      pid_t pid = 0;
      auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
      if (error == std::errc() && end == name.data() + name.size() && !seen_.contains(pid) &&
          std::any_of(own.begin(), own.end(),
                      [&](const auto& each) { return namespace_inode(pid, each.first) == each.second; })) {
        inside.push_back(pid);
      }
    }
    if (inside.empty()) {
      return;
    }
    add_of_cgroup();  // who was born meanwhile is no stranger
    for (pid_t pid : inside) {
      if (seen_.insert(pid).second) {
        add_process(pid, ROLE_STRANGER, "");
      }
    }
  }

  void add_filters() {
    int stopped = 0;
    std::set<std::string> told;
    for (Process& process : *wall_.mutable_processes()) {
      if (process.seccomp_mode() != 2) {
        continue;
      }
      std::string why;
      try {
        if (subject_.cgroup.frozen()) {
          throw Error(ErrorCode::kConflict, "the container is paused: filters are read from a process that can be stopped");
        }
        if (++stopped > kMostStopped) {
          throw Error(ErrorCode::kResourceExhausted,
                      fmt::format("only the first {} processes are stopped for it", kMostStopped));
        }
        process.set_filter_chain(chain_of(linux::read_installed_filters(process.pid(), kPatience)));
      } catch (const std::exception& error) {
        if (told.insert(error.what()).second) {
          add_gap(wall_, "seccomp filters", error.what());
        }
      }
    }
  }

  /// One more than the index of these filters among those that were found before.
  uint32_t chain_of(const linux::FilterChain& filters) {
    FilterChain chain;
    for (const auto& program : filters) {
      chain.add_programs(program.data(), program.size() * sizeof(sock_filter));
    }
    auto same = std::find_if(wall_.chains().begin(), wall_.chains().end(), [&](const FilterChain& other) {
      return std::equal(other.programs().begin(), other.programs().end(), chain.programs().begin(), chain.programs().end());
    });
    auto index = static_cast<uint32_t>(same - wall_.chains().begin());
    if (same == wall_.chains().end()) {
      *wall_.add_chains() = std::move(chain);
    }
    return index + 1;
  }

  /// Where the init really is, not where it was put.
  std::vector<LimitFolder> folders() const {
    const linux::CgroupLayout& layout = linux::cgroup_layout();
    std::vector<LimitFolder> found;
    for (const CgroupPlace& place : parse_cgroup_file(read_file(fmt::format("/proc/{}/cgroup", subject_.init), 64UL << 10))) {
      std::filesystem::path top = layout.unified;
      if (!place.controllers.empty()) {
        const linux::CgroupHierarchy* hierarchy = layout.find(place.controllers.front());
        top = hierarchy == nullptr ? std::filesystem::path() : hierarchy->mount_point;
      }
      if (!top.empty()) {
        found.push_back({.folder = (top / std::filesystem::path(place.path).relative_path()).lexically_normal(), .top = top});
      }
    }
    return found;
  }

  void add_limits() {
    read_limits(folders(), wall_);
    for (Limit& limit : *wall_.mutable_limits()) {
      limit.set_text(limit.text().substr(0, 256));
    }
  }

  void add_paths() {
    auto host = parse_mountinfo(read_file("/proc/1/mountinfo", 16UL << 20), SIZE_MAX);
    auto own = parse_mountinfo(read_file(fmt::format("/proc/{}/mountinfo", subject_.init), 16UL << 20), SIZE_MAX);
    std::vector<VisiblePath> told;
    const auto identify = [&](const std::string& path) { return identity_without_asking(subject_.init, path); };
    if (!tell_mounts(own, host, subject_.mounts, identify, told)) {
      add_gap(wall_, "what was mounted since the start",
              "it has another root than at the start, or what there was then could not be read");
    }
    // What came last first: it is what was not there at the start.
    for (auto each = told.rbegin(); each != told.rend() && wall_.paths_size() < kMostMounts; ++each) {
      *wall_.add_paths() = std::move(*each);
    }
    std::reverse(wall_.mutable_paths()->begin(), wall_.mutable_paths()->end());
    if (told.size() > static_cast<size_t>(kMostMounts)) {
      add_gap(wall_, "paths", fmt::format("it has {} mounts, of which {} are told", told.size(), kMostMounts));
    }
  }

  void add_devices() {
    std::vector<DeviceRule> rules;
    const std::vector<DeviceRule>* known = nullptr;
    for (const LimitFolder& place : folders()) {
      std::filesystem::path list = place.folder / "devices.list";
      if (::access(list.c_str(), R_OK) == 0) {
        std::string text = read_file(list, 64UL << 10);
        rules = parse_device_rules(text);
        known = &rules;
        for (const DeviceRule& rule : rules) {
          wall_.add_device_rules(fmt::format("{} {}:{} {}", rule.kind, rule.major, rule.minor, rule.access));
        }
      }
    }
    if (known == nullptr) {
      add_gap(wall_, "device rules", "cgroup v2 has them in a BPF program, which can't be read as rules");
    }
    LocalFiles local = files();
    UniqueFd dev = local.open("dev", O_RDONLY | O_DIRECTORY);
    if (!dev && is_machine()) {
      return;
    }
    if (!dev) {
      throw Error(ErrorCode::kNotFound, "it has no folder /dev that the kernel answers for");
    }
    add_device_nodes(dev.get(), local, known, wall_);
  }

  const Subject& subject_;
  Wall& wall_;
  std::set<pid_t> seen_;
};

}  // namespace

void measure(const Subject& subject, Wall& wall) { Measurement(subject, wall).run(); }

void add_system_process(pid_t pid, int role, Wall& wall) {
  attempt(wall, "system processes", [&] {
    Process process;
    process.set_role(static_cast<Role>(role));
    describe_process(pid, process);
    *wall.add_system() = std::move(process);
  });
}

}  // namespace bulkhead::facts
