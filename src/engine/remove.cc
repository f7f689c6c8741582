// DELETE /containers/{id}, and the removal of `--rm` containers.
#include <fmt/format.h>

#include <csignal>

#include "engine/engine_state.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::engine {

void Engine::State::begin_removal(const LivePointer& live) {
  {
    std::lock_guard lock(live->mutex);
    Status status = live->record.status;
    if (live->removed || live->record.is_running() || status == Status::kStarting || status == Status::kRestarting ||
        status == Status::kRemoving) {
      return;
    }
    live->record.status = Status::kRemoving;
  }
  // From here on a crash finishes the removal at the next start (recovery.cc).
  records.update_state(live->copy());
  live->decide(Leftovers::kThrownAway);
}

void Engine::State::remove_locked(const LivePointer& live) {
  begin_removal(live);
  Container record;
  {
    std::lock_guard lock(live->mutex);
    if (live->removed) {
      return;
    }
    record = live->record;
  }
  networks.release(record.id);
  snapshots.remove(record.id);
  try {
    remove_folder(container_folder(record.id));
  } catch (const Error& error) {
    std::lock_guard lock(live->mutex);
    live->record.status = Status::kDead;
    throw error.wrap("remove the container again once this is mended");
  }
  records.erase(record.id);
  admission.release(record.id);
  if (!record.chain_ids.empty()) {
    layers.release(record.chain_ids.back());
  }
  {
    std::lock_guard lock(mutex);
    by_id.erase(record.id);
    id_by_name.erase(record.name);
    std::lock_guard record_lock(live->mutex);
    for (const auto& [exec_id, exec] : live->execs) {
      by_exec.erase(exec_id);
    }
    live->removed = true;
  }
  live->changed.notify_all();
  publish(record, "destroy");
}

void Engine::State::remove_ended(const LivePointer& live) {
  begin_removal(live);  // where its wall is still there, that goes the quicker
  std::lock_guard operation(live->operation);
  if (Container record = live->copy(); record.is_running()) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} was started again meanwhile", record.id));
  }
  remove_locked(live);
}

void Engine::State::end_by_force(const LivePointer& live) {
  await_start(live);
  Container record = live->copy();
  if (!record.is_running() && record.status != Status::kRestarting) {
    return;
  }
  want_no_restart(live);
  signal(live, SIGKILL);
  if (!wait_for_end(live, 30'000)) {
    throw Error(ErrorCode::kDeadlineExceeded,
                fmt::format("Could not kill running container {}, cannot remove: it did not end within 30 s of SIGKILL "
                            "(a process of it may hang in the kernel)",
                            record.id));
  }
}

void Engine::remove(const std::string& reference, Force force) {
  LivePointer live = state_->find(reference);
  if (force == Force::kNo) {
    Container record = live->copy();
    if (record.is_running() || record.status == Status::kRestarting) {
      throw Error(ErrorCode::kConflict, fmt::format("You cannot remove a {} container {}. Stop the container before attempting "
                                                    "removal or force remove",
                                                    name(record.status), record.id));
    }
    state_->remove_ended(live);
    return;
  }
  auto count = [&](int change) {
    std::lock_guard lock(live->mutex);
    live->forced_removals += change;
  };
  count(+1);
  auto may_start_again = ScopeGuard([&] { count(-1); });
  state_->end_by_force(live);
  live->break_copy_off();
  state_->remove_ended(live);
}

}  // namespace bulkhead::engine
