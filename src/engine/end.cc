// The end of a container: noticed by a thread that waits at its shim, written down, cleaned up, and perhaps begun again.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "engine/engine_state.h"
#include "support/error.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::engine {
namespace {

/// The caller holds the container's mutex.
bool wants_restart(const LiveContainer& live) {
  const RestartPolicy& policy = live.record.host_config.restart_policy;
  if (!live.restart_wanted || policy.name == "no") {
    return false;
  }
  if (policy.name == "on-failure") {
    return live.record.exit_code != 0 &&
           (policy.maximum_retry_count == 0 || live.record.restart_count < policy.maximum_retry_count);
  }
  return true;
}

/// Counts the restart that is about to be made. False where it is wanted no longer, or somebody else has started it.
bool take_restart(LiveContainer& live) {
  std::lock_guard lock(live.mutex);
  bool restarts = live.record.status == Status::kRestarting;
  live.record.restart_count += restarts ? 1 : 0;
  return restarts;
}

/// A machine takes tens of milliseconds to write its disk and to give its memory back: whoever waits for the end only need not
/// wait for that. Where it holds folders of the host they do: they may be about to unmount them.
bool may_go_later(const Container& record) {
  return record.own_kernel &&
         std::none_of(record.mounts.begin(), record.mounts.end(), [](const MountView& mount) { return mount.type == "bind"; });
}

/// Who removes what has ended mostly does so at once; nothing need be written to its disk then.
Leftovers await_decision(LiveContainer& live) {
  constexpr std::chrono::milliseconds kPatience{50};
  std::unique_lock lock(live.mutex);
  if (live.record.status == Status::kRestarting) {
    return Leftovers::kKept;
  }
  if (live.record.host_config.auto_remove) {
    return Leftovers::kThrownAway;
  }
  live.changed.wait_for(lock, kPatience, [&] { return live.leftovers != Leftovers::kUndecided; });
  return live.leftovers;
}

}  // namespace

void Engine::State::watch(const LivePointer& live) {
  std::shared_ptr<task::Client> client;
  std::string id;
  {
    std::lock_guard lock(live->mutex);
    client = live->client;
    id = live->record.id;
  }
  // Lives as long as the container runs. An engine lives until its process ends, so nothing joins these.
  std::thread([this, live, client, id] {
    task::ExitStatus status;
    task::ExitDetails details;
    try {
      status = client->wait(id, "");
      details = task::read_exit_details(bundle(id));
    } catch (const std::exception& error) {
      status = {.code = 255, .time = now()};
      details.error = fmt::format("the container's shim is gone: {}", error.what());
    }
    try {
      ended(live, status, details);
    } catch (const std::exception& error) {
      log::error("after the end of container {}: {}", id, error.what());
    }
  }).detach();
}

void Engine::State::ended(const LivePointer& live, const task::ExitStatus& status, const task::ExitDetails& details) {
  std::unique_lock operation(live->operation);
  std::shared_ptr<task::Client> client;
  bool goes_later = false;
  {
    std::lock_guard lock(live->mutex);
    client = std::exchange(live->client, nullptr);
    goes_later = live->wall_leaves = may_go_later(live->record);
  }
  auto tell = [&] { tell_end(live, static_cast<int>(status.code), status.time, details); };
  if (goes_later) {
    auto wall_is_gone = ScopeGuard([&] {
      {
        std::lock_guard lock(live->mutex);
        live->wall_leaves = false;
      }
      live->changed.notify_all();
    });
    tell();
    try_to_take_wall_down(live->copy(), client, await_decision(*live));
  } else {
    try_to_take_wall_down(live->copy(), client, Leftovers::kKept);
    tell();
  }
  if (live->copy().status == Status::kRestarting) {
    operation.unlock();
    restart_later(live);
  } else if (live->copy().host_config.auto_remove) {
    remove_locked(live);
  }
}

/// What is left of a wall is removed at its next start, or by the next engine: the container has ended all the same.
void Engine::State::try_to_take_wall_down(const Container& record, const std::shared_ptr<task::Client>& client,
                                          Leftovers leftovers) {
  try {
    take_wall_down(record, client, leftovers);
  } catch (const std::exception& error) {
    log::error("take down what was around container {}: {}", record.id, error.what());
  }
}

void Engine::State::take_wall_down(const Container& record, const std::shared_ptr<task::Client>& client, Leftovers leftovers) {
  bool wall_removed = false;
  if (client) {
    try {
      if (leftovers == Leftovers::kThrownAway) {
        client->discard();
      }
      client->remove(record.id, "");
      client->shutdown(record.id);
      wall_removed = true;
    } catch (const Error& error) {
      log::debug("shim of container {}: {}", record.id, error.message());
    }
  }
  std::error_code ignored;
  if (!wall_removed && std::filesystem::exists(bundle(record.id), ignored)) {
    try {
      task::delete_shim(shim_request(record.id));
    } catch (const Error& error) {
      log::warn("clean up after container {}: {}", record.id, error.message());
    }
  }
  try {
    networks.release(record.id);
  } catch (const Error& error) {
    log::warn("the address of container {} is kept until the engine starts again: {}", record.id, error.message());
  }
  discard_folder(bundle(record.id));
}

/// Whatever fails here (a full disk), the container has ended and everybody who waits is told.
void Engine::State::tell_end(const LivePointer& live, int code, TimePoint time, const task::ExitDetails& details) {
  Container record;
  std::vector<std::shared_ptr<PendingAttachment>> pending;
  {
    std::lock_guard lock(live->mutex);
    live->record.pid = 0;
    live->record.exit_code = code;
    live->record.finished_at = time;
    live->record.out_of_memory = details.out_of_memory;
    live->record.error = details.error;
    live->record.endpoint.reset();
    live->record.exec_ids.clear();
    live->record.stopped_by_user = !live->restart_wanted;
    live->record.status = wants_restart(*live) ? Status::kRestarting : Status::kExited;
    // They stay until the next start: their clients are still to ask for the exit codes.
    for (auto& [exec_id, exec] : live->execs) {
      if (exec->record.running) {
        exec->record.running = false;
        exec->record.exit_code = exec->record.exit_code.value_or(137);
      }
    }
    ++live->ends;
    pending.swap(live->attachments);
    record = live->record;
  }
  for (const auto& attachment : pending) {
    attachment->resolve(UniqueFd());
  }
  try {
    records.update_state(record);
  } catch (const Error& error) {
    log::warn("write the end of container {} down: {}", record.id, error.message());
  }
  live->changed.notify_all();
  if (record.out_of_memory) {
    publish(record, "oom");
  }
  publish(record, "die", {{"exitCode", std::to_string(code)}});
}

bool Engine::State::want_no_restart(const LivePointer& live) {
  bool waited_for_restart = false;
  {
    std::lock_guard lock(live->mutex);
    live->restart_wanted = false;
    waited_for_restart = live->record.status == Status::kRestarting;
    if (waited_for_restart) {
      live->record.status = Status::kExited;
      live->record.stopped_by_user = true;
    }
  }
  live->changed.notify_all();
  return waited_for_restart;
}

void Engine::State::restart_later(const LivePointer& live) {
  using std::chrono::milliseconds;
  constexpr milliseconds kLongest{60'000};
  {
    std::unique_lock lock(live->mutex);
    // 100 ms, doubled each time, as Docker does; a run of over 10 s begins anew.
    bool lasted = live->record.started_at && live->record.finished_at &&
                  *live->record.finished_at - *live->record.started_at > std::chrono::seconds(10);
    if (lasted) {
      live->record.restart_count = 0;
    }
    milliseconds delay = std::min(kLongest, milliseconds(100 << std::min(live->record.restart_count, 10)));
    live->changed.wait_for(lock, delay, [&] { return live->record.status != Status::kRestarting; });
  }
  std::lock_guard operation(live->operation);
  try {
    if (take_restart(*live)) {
      start_locked(live);
    } else {
      save(live);  // what `want_no_restart` changed
    }
  } catch (const Error& error) {
    log::warn("restart container {}: {}", live->copy().id, error.message());
  }
}

bool Engine::State::wait_for_end(const LivePointer& live, int64_t milliseconds) {
  auto is_over = [&] {
    return live->removed || (live->record.status != Status::kRunning && live->record.status != Status::kPaused &&
                             live->record.status != Status::kRestarting);
  };
  std::unique_lock lock(live->mutex);
  if (milliseconds < 0) {
    live->changed.wait(lock, is_over);
    return true;
  }
  return live->changed.wait_for(lock, std::chrono::milliseconds(milliseconds), is_over);
}

std::optional<WaitResult> Engine::wait(const std::string& reference, WaitCondition condition,
                                       const std::function<void()>& registered, const std::function<bool()>& cancelled) {
  LivePointer live = state_->find(reference);
  std::unique_lock lock(live->mutex);
  uint64_t ends = live->ends;
  registered();
  auto is_met = [&] {
    switch (condition) {
      case WaitCondition::kNotRunning:
        return live->removed || !(live->record.is_running() || live->record.shown_status() == Status::kRestarting);
      case WaitCondition::kNextExit: return live->removed || live->ends != ends;
      case WaitCondition::kRemoved: return live->removed;
    }
    return true;
  };
  while (!is_met()) {
    live->changed.wait_for(lock, std::chrono::milliseconds(100));
    if (!is_met() && cancelled()) {
      return std::nullopt;
    }
  }
  return WaitResult{.exit_code = live->record.exit_code, .error = live->record.error};
}

}  // namespace bulkhead::engine
