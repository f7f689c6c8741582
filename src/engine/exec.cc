// More processes in a running container.
#include <fmt/format.h>

#include <thread>

#include "engine/engine_state.h"
#include "engine/spec_builder.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/random.h"

namespace bulkhead::engine {
namespace {

[[noreturn]] void no_such_exec(const std::string& id) {
  throw Error(ErrorCode::kNotFound, fmt::format("No such exec instance: {}", id));
}

void require_unpaused(const Container& container) {
  require_running(container);
  if (container.status == Status::kPaused) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is paused, unpause the container before exec", container.id));
  }
}

struct Found {
  LivePointer live;
  std::shared_ptr<LiveExec> exec;
};

Found find_exec(std::mutex& mutex, const std::map<std::string, LivePointer>& by_exec, const std::string& id) {
  Found found;
  {
    std::lock_guard lock(mutex);
    auto entry = by_exec.find(id);
    if (entry == by_exec.end()) {
      no_such_exec(id);
    }
    found.live = entry->second;
  }
  std::lock_guard lock(found.live->mutex);
  auto entry = found.live->execs.find(id);
  if (entry == found.live->execs.end()) {
    no_such_exec(id);
  }
  found.exec = entry->second;
  return found;
}

int exit_code_of(const Error& error) { return error.code() == ErrorCode::kCommandNotFound ? 127 : 126; }

}  // namespace

std::string Engine::exec_create(const std::string& reference, const ExecConfig& config) {
  LivePointer live = state_->find(reference);
  Container record = live->copy();
  require_unpaused(record);
  if (config.privileged) {
    state_->admission.check_privileged_exec(record, config.caller);
  }
  if (config.cmd.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "No exec command specified");
  }
  auto exec = std::make_shared<LiveExec>();
  exec->record.id = random_hex(32);
  exec->record.container_id = record.id;
  exec->record.config = config;
  {
    std::lock_guard lock(state_->mutex);
    state_->by_exec[exec->record.id] = live;
    std::lock_guard record_lock(live->mutex);
    live->execs[exec->record.id] = exec;
    live->record.exec_ids.push_back(exec->record.id);
  }
  state_->publish(record, "exec_create: " + fmt::format("{}", fmt::join(config.cmd, " ")), {{"execID", exec->record.id}});
  return exec->record.id;
}

void Engine::State::watch_exec(const LivePointer& live, const std::shared_ptr<LiveExec>& exec) {
  std::thread([this, live, exec] {
    std::string id = exec->record.id;
    std::string container_id = exec->record.container_id;
    int code = 137;
    try {
      code = static_cast<int>(exec->client->wait(container_id, id).code);
      exec->client->remove(container_id, id);
    } catch (const Error& error) {
      log::debug("exec {}: {}", id, error.message());
    }
    {
      std::lock_guard lock(live->mutex);
      exec->record.running = false;
      exec->record.exit_code = code;
      exec->client.reset();
      std::erase(live->record.exec_ids, id);
    }
    live->changed.notify_all();
    publish(live->copy(), "exec_die", {{"execID", id}, {"exitCode", std::to_string(code)}});
  }).detach();
}

UniqueFd Engine::exec_start(const std::string& exec_id, bool detach, bool tty,
                            std::optional<std::pair<uint16_t, uint16_t>> rows_columns) {
  auto [live, exec] = find_exec(state_->mutex, state_->by_exec, exec_id);
  Container record = live->copy();
  std::shared_ptr<task::Client> client;
  {
    std::lock_guard lock(live->mutex);
    if (exec->record.started) {
      throw Error(ErrorCode::kConflict, fmt::format("Error: Exec command {} is already running", exec_id));
    }
    require_unpaused(record);
    client = live->client;
    exec->client = client;
    exec->record.started = true;
    exec->record.running = true;
  }
  const ExecConfig& config = exec->record.config;
  bool terminal = config.tty || tty;
  bool attached = !detach && (config.attach_stdin || config.attach_stdout || config.attach_stderr);
  UniqueFd stream;
  try {
    oci::Spec spec = oci::parse_spec(read_file(state_->bundle(record.id) / "config.json"));
    oci::Process process = build_exec_process(spec, record, config, root_reader(record));
    process.terminal = terminal;
    if (rows_columns) {
      process.console_size = oci::ConsoleSize{.height = rows_columns->first, .width = rows_columns->second};
    }
    task::Stdio stdio;
    stdio.terminal = terminal;
    stdio.in = attached && config.attach_stdin ? "attach:" : "";
    stdio.out = attached || terminal ? "attach:" : "";
    stdio.err = attached && !terminal ? "attach:" : "";
    client->exec(record.id, exec_id, oci::to_json(process), stdio);
    if (attached) {
      stream = task::attach({.bundle = state_->bundle(record.id),
                             .exec_id = exec_id,
                             .in = config.attach_stdin,
                             .out = config.attach_stdout,
                             .err = config.attach_stderr && !terminal,
                             .stdin_at_end = task::StdinAtEnd::kClose});
    }
    pid_t pid = client->start(record.id, exec_id);
    std::lock_guard lock(live->mutex);
    exec->record.pid = pid;
  } catch (const Error& error) {
    try {
      client->remove(record.id, exec_id);
    } catch (const Error&) {
      // It was never registered, or the shim removed it when its start failed.
    }
    std::lock_guard lock(live->mutex);
    exec->record.running = false;
    exec->record.exit_code = exit_code_of(error);
    exec->client.reset();
    std::erase(live->record.exec_ids, exec_id);
    throw;
  }
  state_->watch_exec(live, exec);
  state_->publish(record, "exec_start: " + fmt::format("{}", fmt::join(config.cmd, " ")), {{"execID", exec_id}});
  return stream;
}

Exec Engine::exec_wait(const std::string& exec_id) {
  auto [live, exec] = find_exec(state_->mutex, state_->by_exec, exec_id);
  std::unique_lock lock(live->mutex);
  live->changed.wait(lock, [&execution = exec->record] { return !execution.running; });
  return exec->record;
}

Exec Engine::exec_inspect(const std::string& exec_id) {
  auto [live, exec] = find_exec(state_->mutex, state_->by_exec, exec_id);
  std::lock_guard lock(live->mutex);
  return exec->record;
}

void Engine::exec_resize(const std::string& exec_id, uint16_t rows, uint16_t columns) {
  auto [live, exec] = find_exec(state_->mutex, state_->by_exec, exec_id);
  std::shared_ptr<task::Client> client;
  {
    std::lock_guard lock(live->mutex);
    client = exec->client;
  }
  if (!client) {
    throw Error(ErrorCode::kConflict, fmt::format("exec {} is not running", exec_id));
  }
  client->resize(exec->record.container_id, exec_id, rows, columns);
}

}  // namespace bulkhead::engine
