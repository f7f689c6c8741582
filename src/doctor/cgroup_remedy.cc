#include "doctor/cgroup_remedy.h"

#include <fmt/format.h>

#include <sstream>

namespace bulkhead::doctor {
namespace {

enum class State { kAbsent, kDisabled, kEnabled };

State state_of(std::string_view controller, std::string_view proc_cgroups) {
  std::istringstream lines{std::string(proc_cgroups)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string name;
    int hierarchy = 0, groups = 0, enabled = 0;
    if (fields >> name >> hierarchy >> groups >> enabled && name == controller) {
      return enabled != 0 ? State::kEnabled : State::kDisabled;
    }
  }
  return State::kAbsent;
}

std::string remedy_of_one(std::string_view controller, State state, const std::filesystem::path& root) {
  std::string folder = (root / controller).native();
  switch (state) {
    case State::kEnabled: return fmt::format("mkdir -p {} && mount -t cgroup -o {} none {}", folder, controller, folder);
    case State::kDisabled:  // some distributions' kernels have memory's disabled unless it is asked for
      return controller == "memory" ? "boot the kernel with cgroup_enable=memory swapaccount=1"
                                    : fmt::format("boot the kernel without cgroup_disable={}", controller);
    case State::kAbsent: break;
  }
  return fmt::format("use a kernel with the {} controller", controller);
}

}  // namespace

std::string remedy_of_missing(const std::vector<std::string_view>& controllers, std::string_view proc_cgroups,
                              const std::filesystem::path& root) {
  std::string text;
  for (std::string_view controller : controllers) {
    text += (text.empty() ? "" : "; ") + remedy_of_one(controller, state_of(controller, proc_cgroups), root);
  }
  return text;
}

}  // namespace bulkhead::doctor
