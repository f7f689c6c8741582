#include "engine/jail_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/file_comparison.h"
#include "engine/limit_comparison.h"
#include "engine/process_text.h"
#include "facts/capability_names.h"
#include "facts/facts.pb.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {
namespace {

constexpr std::array kOwnKinds = {"mount", "pid", "network", "ipc", "uts", "cgroup"};

}  // namespace

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
  if (!wall.resources().empty()) {
    oci::Resources given = oci::parse_resources(wall.resources());
    compare_limits(given, wall, "QEMU's ", found);
    compare_device_rules(given.devices, wall, "QEMU's ", found);
  }
  compare_jail_paths(wall, found);
}

}  // namespace bulkhead::engine
