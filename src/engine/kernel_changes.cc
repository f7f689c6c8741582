// The catalogue of guest kernels, as the engine lets it be changed: by whom, and not under a container.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/engine_state.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

// SECURITY: names and paths are the caller's, who may be refused: what the log holds of them is bounded.
constexpr size_t kMaxName = 64, kMaxPath = 512;

bool is_administrator(const policy::Caller& caller) { return caller.uid == 0; }

nlohmann::json entry_of(const policy::Caller& caller, const KernelChange& change, const std::string& because) {
  nlohmann::json uid = caller.uid ? nlohmann::json(*caller.uid) : nlohmann::json(nullptr);
  return {{"time", rfc3339(now())},
          {"event", change.event},
          {"kernel", change.name.substr(0, kMaxName)},
          {"verdict", because.empty() ? "allowed" : "denied"},
          {"because", because},
          {"request", {{"uid", uid}, {"tls_name", caller.tls_name}, {"path", change.path.substr(0, kMaxPath)}}}};
}

}  // namespace

void Admission::check_kernel_change(const policy::Caller& caller, const KernelChange& change) {
  std::string because;
  if (!is_administrator(caller)) {
    because = fmt::format(
        "the kernels of guests are the host administrator's: root's, by the Unix socket; {} may only list them", caller.text());
  }
  log_.write(entry_of(caller, change, because));
  events_.publish({.type = "policy",
                   .action = because.empty() ? "allow" : "deny",
                   .actor_id = change.name.substr(0, kMaxName),
                   .attributes = {{"for", change.event}, {"because", because}, {"caller", caller.text()}},
                   .time = {}});
  if (!because.empty()) {
    throw Error(ErrorCode::kPermissionDenied, fmt::format("{}: {}", change.event, because));
  }
}

std::vector<kernels::Entry> Engine::list_kernels() { return state_->kernels.list(); }

kernels::Entry Engine::add_kernel(const policy::Caller& caller, const std::string& name, const kernels::KernelFiles& files) {
  state_->admission.check_kernel_change(caller, {.event = "kernel add", .name = name, .path = files.kernel});
  kernels::Entry added = state_->kernels.add(name, files);
  state_->events.publish({.type = "kernel",
                          .action = "add",
                          .actor_id = name,
                          .attributes = {{"release", added.release}, {"digest", added.digest}, {"caller", caller.text()}},
                          .time = {}});
  return added;
}

void Engine::remove_kernel(const policy::Caller& caller, const std::string& name) {
  state_->admission.check_kernel_change(caller, {.event = "kernel rm", .name = name, .path = {}});
  std::unique_lock nobody_chooses(state_->kernel_choices);
  for (const Container& container : list()) {
    auto chosen = container.host_config.annotations.find(compat::kKernelLabel);
    if (container.own_kernel && chosen != container.host_config.annotations.end() && chosen->second == name) {
      throw Error(ErrorCode::kConflict, fmt::format("kernel '{}' is used by container {} ({}): remove that first", name,
                                                    container.id.substr(0, 12), container.name));
    }
  }
  state_->kernels.remove(name);
  nobody_chooses.unlock();
  state_->events.publish(
      {.type = "kernel", .action = "remove", .actor_id = name, .attributes = {{"caller", caller.text()}}, .time = {}});
}

}  // namespace bulkhead::engine
