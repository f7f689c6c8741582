// Commands to a container that exists: signals, pause, names, terminal size.
#include <fmt/format.h>

#include <csignal>

#include "engine/engine_state.h"
#include "engine/names.h"
#include "engine/spec_builder.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr int kDefaultStopSeconds = 10;

std::shared_ptr<task::Client> client_of(LiveContainer& live) {
  std::lock_guard lock(live.mutex);
  require_running(live.record);
  if (!live.client) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is not running", live.record.id));
  }
  return live.client;
}

}  // namespace

void require_running(const Container& container) {
  if (container.shown_status() == Status::kRestarting) {
    throw Error(ErrorCode::kConflict,
                fmt::format("Container {} is restarting, wait until the container is running", container.id));
  }
  if (!container.is_running()) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is not running", container.id));
  }
}

void Engine::State::await_start(const LivePointer& live) {
  if (live->copy().status == Status::kStarting) {
    std::lock_guard operation(live->operation);
  }
}

void Engine::State::signal(const LivePointer& live, int signal_number) {
  std::shared_ptr<task::Client> client;
  Container record = live->copy();
  try {
    client = client_of(*live);
    client->kill(record.id, "", signal_number, false);
    // A frozen process takes no signal until it thaws (cgroup v1 freezer: not even SIGKILL).
    if (record.status == Status::kPaused && (signal_number == SIGKILL || signal_number == SIGTERM)) {
      client->resume(record.id);
      std::lock_guard lock(live->mutex);
      if (live->record.status == Status::kPaused) {
        live->record.status = Status::kRunning;
      }
    }
  } catch (const Error& error) {
    // It has ended between the question and the signal, or its shim has: the thread that watches it tells the rest.
    if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kConflict &&
        error.code() != ErrorCode::kUnavailable) {
      throw;
    }
  }
}

void Engine::stop(const std::string& reference, std::optional<int> timeout_seconds, const std::string& signal) {
  LivePointer live = state_->find(reference);
  Container record = live->copy();
  int number = parse_signal(!signal.empty()                      ? signal
                            : !record.config.stop_signal.empty() ? record.config.stop_signal
                                                                 : "SIGTERM");
  {
    std::lock_guard lock(live->mutex);
    if (!live->record.is_running() && live->record.status != Status::kRestarting && live->record.status != Status::kStarting) {
      throw Error(ErrorCode::kAlreadyDone, "the container is stopped already");
    }
    live->record.stopped_by_user = true;
  }
  state_->want_no_restart(live);
  // A start under way finishes first: signals to a process that isn't there yet would be lost.
  { std::lock_guard operation(live->operation); }
  state_->signal(live, number);
  int64_t seconds = timeout_seconds.value_or(record.config.stop_timeout.value_or(kDefaultStopSeconds));
  if (!state_->wait_for_end(live, seconds < 0 ? -1 : seconds * 1000)) {
    state_->signal(live, SIGKILL);
    if (!state_->wait_for_end(live, 30'000)) {
      throw Error(ErrorCode::kDeadlineExceeded, fmt::format("container {} did not end within 30 s of SIGKILL", record.id));
    }
  }
  state_->publish(record, "stop");
}

void Engine::kill(const std::string& reference, const std::string& signal) {
  LivePointer live = state_->find(reference);
  int number = parse_signal(signal.empty() ? "SIGKILL" : signal);
  state_->await_start(live);
  Container record = live->copy();
  bool waits_for_restart = record.status == Status::kRestarting;
  if (!record.is_running() && !waits_for_restart) {
    throw Error(ErrorCode::kConflict,
                fmt::format("Cannot kill container: {}: Container {} is not running", reference, record.id));
  }
  if (number == SIGKILL || number == SIGTERM) {
    waits_for_restart = state_->want_no_restart(live);
  }
  if (waits_for_restart) {
    return;  // there is no process to signal
  }
  state_->signal(live, number);
  state_->publish(record, "kill", {{"signal", std::to_string(number)}});
  if (number == SIGKILL) {
    state_->wait_for_end(live, 10'000);
  }
}

void Engine::restart(const std::string& reference, std::optional<int> timeout_seconds, const std::string& signal) {
  LivePointer live = state_->find(reference);
  bool auto_remove = false;
  {
    std::lock_guard lock(live->mutex);
    // A restart is not an end: `--rm` must not remove the container in between.
    auto_remove = std::exchange(live->record.host_config.auto_remove, false);
  }
  auto put_back = [&] {
    std::lock_guard lock(live->mutex);
    live->record.host_config.auto_remove = auto_remove;
  };
  try {
    stop(reference, timeout_seconds, signal);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kAlreadyDone) {
      put_back();
      throw;
    }
  }
  put_back();
  state_->start(live);
  state_->publish(live->copy(), "restart");
}

void Engine::rename(const std::string& reference, const std::string& new_name) {
  LivePointer live = state_->find(reference);
  std::string wanted = !new_name.empty() && new_name[0] == '/' ? new_name.substr(1) : new_name;
  if (wanted.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "Neither old nor new names may be empty");
  }
  check_name(wanted);
  std::lock_guard operation(live->operation);
  Container record = live->copy();
  if (record.name == wanted) {
    throw Error(ErrorCode::kInvalidArgument, "Renaming a container with the same name as its current name");
  }
  try {
    state_->records.rename(record.id, wanted);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kConflict) {
      throw;
    }
    throw Error(
        ErrorCode::kConflict,
        fmt::format("Error when allocating new name: Conflict. The container name \"/{}\" is already in use by container "
                    "\"{}\". You have to remove (or rename) that container to be able to reuse that name.",
                    wanted, state_->records.id_of_name(wanted)));
  }
  {
    std::lock_guard lock(state_->mutex);
    state_->id_by_name.erase(record.name);
    state_->id_by_name[wanted] = record.id;
    std::lock_guard record_lock(live->mutex);
    live->record.name = wanted;
  }
  state_->publish(live->copy(), "rename", {{"oldName", "/" + record.name}});
}

void Engine::pause(const std::string& reference) {
  LivePointer live = state_->find(reference);
  std::lock_guard operation(live->operation);
  Container record = live->copy();
  require_running(record);
  if (record.status == Status::kPaused) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is already paused", record.id));
  }
  client_of(*live)->pause(record.id);
  {
    std::lock_guard lock(live->mutex);
    live->record.status = Status::kPaused;
  }
  state_->save(live);
  state_->publish(record, "pause");
}

void Engine::unpause(const std::string& reference) {
  LivePointer live = state_->find(reference);
  std::lock_guard operation(live->operation);
  Container record = live->copy();
  if (record.status != Status::kPaused) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is not paused", record.id));
  }
  client_of(*live)->resume(record.id);
  {
    std::lock_guard lock(live->mutex);
    live->record.status = Status::kRunning;
  }
  state_->save(live);
  state_->publish(record, "unpause");
}

void Engine::resize(const std::string& reference, uint16_t rows, uint16_t columns) {
  LivePointer live = state_->find(reference);
  client_of(*live)->resize(live->copy().id, "", rows, columns);
}

}  // namespace bulkhead::engine
