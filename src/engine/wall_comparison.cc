#include "engine/wall_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/file_comparison.h"
#include "engine/jail_comparison.h"
#include "engine/limit_comparison.h"
#include "engine/process_text.h"
#include "facts/capability_names.h"
#include "facts/facts.pb.h"
#include "facts/process.h"
#include "facts/reach.h"

namespace bulkhead::engine {
namespace {

/// One container's processes on the kernel that they run on.
class ProcessComparison {
 public:
  ProcessComparison(const oci::Spec& asked, const facts::Wall& wall, const std::map<uint64_t, std::string>& others,
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
      compare_resource_limits(process);
      if (process.role() == facts::ROLE_STRANGER) {
        add("limits of " + title(process), "the container's",
            "none of them: it is in the container's namespaces, but not in its cgroup");
      }
    }
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

  void compare_resource_limits(const facts::Process& process) {
    const auto text = [](uint64_t number) { return number == UINT64_MAX ? "unlimited" : std::to_string(number); };
    for (const oci::Rlimit& asked : asked_.process.rlimits) {
      for (const facts::ResourceLimit& real : process.resource_limits()) {
        if (real.name() == asked.type && real.hard() > asked.hard) {
          add(asked.type + " of " + title(process), text(asked.hard), text(real.hard()));
        }
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

void compare_kernel(const WallQuestion& question, const facts::Wall& container, std::vector<Difference>& found) {
  const std::string& seen = container.kernel().boot_id();
  bool same = seen == question.host.boot_id();
  if (!seen.empty() && same == question.own_kernel) {
    found.push_back({.what = "kernel",
                     .asked = question.own_kernel ? "one of its own" : "the host's",
                     .in_force = same ? "the host's, by its boot id" : "another one, by its boot id"});
  }
}

/// Numbers of the host's processors and memory nodes are no limit inside: the machine's cgroup has them.
oci::Resources inner_resources(const oci::Spec& asked) {
  oci::Resources inner = asked.linux_.resources;
  inner.cpuset_cpus.clear();
  inner.cpuset_mems.clear();
  return inner;
}

}  // namespace

std::vector<Difference> compare_wall(const WallQuestion& question) {
  std::vector<Difference> found;
  const facts::Wall& container = question.own_kernel ? question.wall.inside() : question.wall;
  compare_kernel(question, container, found);
  if (container.processes_size() > 0) {
    ProcessComparison(question.asked, container, question.others, found).run();
    compare_limits(question.own_kernel ? inner_resources(question.asked) : question.asked.linux_.resources, container, "",
                   found);
    compare_device_rules(question.asked.linux_.resources.devices, container, "", found);
    compare_paths(question.asked, container, found);
    compare_device_nodes(question.asked, container, found);
  }
  if (question.own_kernel) {
    compare_jail(question.wall, found);
  }
  return found;
}

}  // namespace bulkhead::engine
