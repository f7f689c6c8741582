#include "shim/container.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>

#include "facts/facts.pb.h"
#include "facts/measure.h"
#include "facts/reach.h"
#include "shim/exit_file.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"
#include "task/events.pb.h"
#include "task/protocol.h"
#include "ttrpc/status.h"

namespace bulkhead::shim {
namespace {

task::ExitStatus killed_now() { return {.code = 128 + SIGKILL, .time = now()}; }

/// Exit codes of a command that couldn't be run, as shells and Docker give them.
uint32_t code_of_failed_start(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kCommandNotFound: return 127;
    case ErrorCode::kCannotExecute: return 126;
    default: return 255;
  }
}

}  // namespace

Container::Container(EventLoop& loop, const IsolationRegistry& isolations, EventPublisher& events, std::string id,
                     std::filesystem::path cache_folder)
    : loop_(loop),
      isolations_(isolations),
      events_(events),
      id_(std::move(id)),
      cache_folder_(std::move(cache_folder)),
      files_(loop) {}

Container::Process& Container::find(const std::string& exec_id) {
  auto process = processes_.find(exec_id);
  if (process == processes_.end()) {
    throw Error(ErrorCode::kNotFound, exec_id.empty() ? fmt::format("container '{}' doesn't exist", id_)
                                                      : fmt::format("container '{}' has no exec '{}'", id_, exec_id));
  }
  return process->second;
}

sandbox::Sandbox& Container::live() {
  if (!sandbox_) {
    throw Error(ErrorCode::kNotFound, fmt::format("container '{}' doesn't exist", id_));
  }
  return *sandbox_;
}

std::unique_ptr<sandbox::Sandbox> Container::make_sandbox(const task::CreateRequest& request, ProcessStreams& streams) {
  sandbox::SandboxSpec spec{
      .id = id_, .bundle = request.bundle, .spec = oci::parse_spec(read_file(request.bundle / "config.json"))};
  if (spec.spec.process.terminal != request.stdio.terminal) {
    throw Error(ErrorCode::kInvalidArgument, "process.terminal of config.json and the request's terminal differ");
  }
  isolation_ = isolations_.make(spec.spec, cache_folder_);
  check_capabilities(spec.spec, isolation_->capabilities());
  isolation_->probe();
  for (const task::Mount& mount : request.rootfs) {
    spec.rootfs.push_back({.type = mount.type, .source = mount.source, .target = mount.target, .options = mount.options});
  }
  if (!request.stdio.terminal) {
    spec.io = streams.make_pipes();
  }
  spec.state_folder = request.bundle / task::kStateFolder;
  spec.cache_folder = cache_folder_;
  make_folders(spec.state_folder, 0700);
  ScopeGuard remove_folder([folder = spec.state_folder] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  auto sandbox = isolation_->create(std::move(spec));
  remove_folder.dismiss();
  return sandbox;
}

pid_t Container::create(const task::CreateRequest& request) {
  if (sandbox_) {
    throw ttrpc::AlreadyExists(fmt::format("container '{}' exists already", id_));
  }
  auto streams = std::make_unique<ProcessStreams>(loop_, request.stdio);
  auto sandbox = make_sandbox(request, *streams);
  ScopeGuard undo([&] {
    processes_.clear();
    if (sandbox) {
      sandbox->destroy();
    }
    std::error_code ignored;
    std::filesystem::remove_all(request.bundle / task::kStateFolder, ignored);
  });
  Process& init = processes_[""];
  init.stdio = request.stdio;
  init.streams = std::move(streams);
  adopt(init, sandbox->init());
  if (request.stdio.terminal) {
    init.streams->use_console(sandbox->init().console.get());
  }
  undo.dismiss();
  sandbox_ = std::move(sandbox);
  bundle_ = request.bundle;
  paused_ = false;
  containerd::events::TaskCreate event;
  event.set_container_id(id_);
  event.set_bundle(bundle_);
  event.mutable_io()->set_stdin(request.stdio.in);
  event.mutable_io()->set_stdout(request.stdio.out);
  event.mutable_io()->set_stderr(request.stdio.err);
  event.mutable_io()->set_terminal(request.stdio.terminal);
  event.set_pid(static_cast<uint32_t>(init.pid));
  events_.publish("/tasks/create", event);
  return init.pid;
}

void Container::adopt(Process& process, const sandbox::StartedProcess& started) {
  process.pid = started.pid;
  process.exit_descriptor = started.exit_descriptor;
  process.exit_watch = loop_.watch(started.exit_descriptor, EPOLLIN, [this, &process](uint32_t) { on_exit(process); });
}

pid_t Container::start(const std::string& exec_id) {
  Process& process = find(exec_id);
  if (process.status != task::Status::kCreated) {
    throw Error(ErrorCode::kConflict, fmt::format("process '{}' of container '{}' {}", exec_id, id_,
                                                  process.status == task::Status::kStopped ? "has ended" : "runs already"));
  }
  exec_id.empty() ? start_init(process) : start_exec(process);
  return process.pid;
}

void Container::start_init(Process& init) {
  live().start();
  init.status = task::Status::kRunning;
  containerd::events::TaskStart event;
  event.set_container_id(id_);
  event.set_pid(static_cast<uint32_t>(init.pid));
  events_.publish("/tasks/start", event);
}

void Container::start_exec(Process& process) {
  if (find("").status != task::Status::kRunning) {
    throw Error(ErrorCode::kConflict, fmt::format("container '{}' is not running", id_));
  }
  oci::Process to_run = std::move(*process.to_run);
  process.to_run.reset();
  try {
    sandbox::ProcessIo io;
    if (!process.stdio.terminal) {
      io = process.streams->make_pipes();
    }
    sandbox::StartedProcess& started = live().exec(process.exec_id, to_run, std::move(io));
    adopt(process, started);
    process.status = task::Status::kRunning;
    if (process.stdio.terminal) {
      process.streams->use_console(started.console.get());
    }
  } catch (const Error& error) {
    if (process.status == task::Status::kCreated) {
      end(process, {.code = code_of_failed_start(error), .time = now()});
    }
    throw;
  }
  containerd::events::TaskExecStarted event;
  event.set_container_id(id_);
  event.set_exec_id(process.exec_id);
  event.set_pid(static_cast<uint32_t>(process.pid));
  events_.publish("/tasks/exec-started", event);
}

void Container::exec(const std::string& exec_id, const std::string& process_json, const task::Stdio& stdio) {
  if (find("").status == task::Status::kStopped) {
    throw Error(ErrorCode::kConflict, fmt::format("container '{}' has ended", id_));
  }
  if (exec_id.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "an exec needs an id");
  }
  if (processes_.contains(exec_id)) {
    throw ttrpc::AlreadyExists(fmt::format("container '{}' has an exec '{}' already", id_, exec_id));
  }
  oci::Process to_run = oci::parse_process(process_json);
  to_run.terminal = stdio.terminal;
  auto streams = std::make_unique<ProcessStreams>(loop_, stdio);
  Process& process = processes_[exec_id];
  process.exec_id = exec_id;
  process.stdio = stdio;
  process.streams = std::move(streams);
  process.to_run = std::move(to_run);
  containerd::events::TaskExecAdded event;
  event.set_container_id(id_);
  event.set_exec_id(exec_id);
  events_.publish("/tasks/exec-added", event);
}

void Container::on_exit(Process& process) {
  process.exit_watch.reset();
  sandbox::ExitStatus status{.code = 255, .time = now()};
  try {
    status = sandbox_->reap(process.exec_id);
  } catch (const Error& error) {
    log::error("the exit status of process '{}' of container '{}' is lost: {}", process.exec_id, id_, error.message());
    status.error = error.message();
  }
  if (process.exec_id.empty()) {
    end_sandbox_of_init(status);
  }
  end(process, {.code = static_cast<uint32_t>(status.code), .time = status.time});
}

void Container::end_sandbox_of_init(const sandbox::ExitStatus& status) {
  try {
    sandbox_->signal("", SIGKILL, sandbox::SignalScope::kAll);
  } catch (const Error& error) {
    // With its own PID namespace everything is dead by now. What isn't is killed by `destroy`.
    if (error.code() != ErrorCode::kNotFound) {
      log::warn("kill what is left of container '{}': {}", id_, error.message());
    }
  }
  // Execs end before the container, for whoever reads the events.
  for (auto& [exec_id, process] : processes_) {
    pollfd ended{.fd = process.exit_descriptor, .events = POLLIN, .revents = 0};
    if (!exec_id.empty() && process.status == task::Status::kRunning && ::poll(&ended, 1, 0) == 1) {
      on_exit(process);
    }
  }
  try {
    write_exit_file(bundle_, status);
  } catch (const Error& error) {
    log::error("the exit status of container '{}' is kept in memory only: {}", id_, error.message());
  }
  if (status.out_of_memory) {
    containerd::events::TaskOOM event;
    event.set_container_id(id_);
    events_.publish("/tasks/oom", event);
  }
}

/// Output first: a client that sees the exit has been sent all output that its socket takes.
void Container::end(Process& process, const task::ExitStatus& exit) {
  process.exit_watch.reset();
  process.exit_descriptor = -1;
  process.status = task::Status::kStopped;
  process.exit = exit;
  process.to_run.reset();
  process.streams->finish();
  if (process.pid != 0) {
    containerd::events::TaskExit event;
    event.set_container_id(id_);
    event.set_id(process.exec_id.empty() ? id_ : process.exec_id);
    event.set_pid(static_cast<uint32_t>(process.pid));
    event.set_exit_status(exit.code);
    task::to_timestamp(exit.time, *event.mutable_exited_at());
    events_.publish("/tasks/exit", event);
  }
  for (Waiter& waiter : std::exchange(process.waiters, {})) {
    waiter(exit);
  }
}

void Container::wait(const std::string& exec_id, Waiter waiter) {
  Process& process = find(exec_id);
  if (process.status == task::Status::kStopped) {
    waiter(process.exit);
  } else {
    process.waiters.push_back(std::move(waiter));
  }
}

Container::Description Container::describe(const std::string& exec_id) {
  Process& process = find(exec_id);
  task::Status status = process.status;
  if (paused_ && status == task::Status::kRunning) {
    status = task::Status::kPaused;
  }
  return {.state = {.status = status, .pid = process.pid, .exit = process.exit}, .stdio = process.stdio};
}

void Container::kill(const std::string& exec_id, int signal_number, sandbox::SignalScope scope) {
  Process& process = find(exec_id);
  if (process.status == task::Status::kStopped) {
    throw Error(ErrorCode::kNotFound, fmt::format("process '{}' of container '{}' has ended", exec_id, id_));
  }
  if (process.to_run) {
    throw Error(ErrorCode::kConflict, fmt::format("exec '{}' of container '{}' is not running", exec_id, id_));
  }
  if (signal_number < 0 || signal_number > SIGRTMAX) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no signal {}", signal_number));
  }
  live().signal(exec_id, signal_number, scope);
}

void Container::resize(const std::string& exec_id, uint16_t rows, uint16_t columns) {
  Process& process = find(exec_id);
  if (!process.stdio.terminal) {
    throw Error(ErrorCode::kConflict, fmt::format("process '{}' of container '{}' has no terminal", exec_id, id_));
  }
  if (process.status == task::Status::kStopped) {
    throw Error(ErrorCode::kNotFound, fmt::format("process '{}' of container '{}' has ended", exec_id, id_));
  }
  if (process.to_run) {
    process.to_run->console_size = oci::ConsoleSize{.height = rows, .width = columns};
    return;
  }
  live().resize(exec_id, rows, columns);
}

void Container::close_stdin(const std::string& exec_id) {
  Process& process = find(exec_id);
  if (process.status != task::Status::kStopped) {
    process.streams->close_stdin();
  }
}

void Container::pause() {
  if (find("").status != task::Status::kRunning || paused_) {
    throw Error(ErrorCode::kConflict, fmt::format("container '{}' is {}", id_, paused_ ? "paused already" : "not running"));
  }
  live().pause();
  paused_ = true;
  containerd::events::TaskPaused event;
  event.set_container_id(id_);
  events_.publish("/tasks/paused", event);
}

void Container::resume() {
  find("");
  if (!paused_) {
    throw Error(ErrorCode::kConflict, fmt::format("container '{}' is not paused", id_));
  }
  live().resume();
  paused_ = false;
  containerd::events::TaskResumed event;
  event.set_container_id(id_);
  events_.publish("/tasks/resumed", event);
}

void Container::update(const std::string& resources_json) { live().update(oci::parse_resources(resources_json)); }

std::vector<task::ProcessInfo> Container::processes() {
  std::vector<task::ProcessInfo> found;
  for (pid_t pid : live().processes()) {
    found.push_back({.pid = pid, .inner = std::nullopt});
  }
  for (sandbox::ProcessEntry& entry : live().inner_processes()) {
    found.push_back({.pid = entry.pid,
                     .inner = task::InnerProcess{.parent = entry.parent,
                                                 .user = entry.user,
                                                 .started = entry.started,
                                                 .processor_time = entry.processor_time,
                                                 .memory = entry.memory,
                                                 .terminal = std::move(entry.terminal),
                                                 .command = std::move(entry.command)}});
  }
  return found;
}

sandbox::Statistics Container::statistics() { return live().statistics(); }

void Container::measure(facts::Wall& wall) {
  live().measure(wall);
  facts::evaluate_filters(wall);
  if (wall.has_inside()) {
    facts::evaluate_filters(*wall.mutable_inside());
  }
  facts::add_system_process(::getpid(), facts::ROLE_SHIM, wall);
}

void Container::discard() {
  if (find("").status != task::Status::kStopped) {
    throw Error(ErrorCode::kConflict, fmt::format("container '{}' is running: end it first", id_));
  }
  live().discard();
}

Container::Removed Container::remove(const std::string& exec_id) {
  Process& process = find(exec_id);
  bool unstarted_exec = process.to_run.has_value();
  bool created_init = exec_id.empty() && process.status == task::Status::kCreated;
  if (process.status != task::Status::kStopped && !unstarted_exec && !created_init) {
    throw Error(ErrorCode::kConflict, exec_id.empty() ? fmt::format("container '{}' is running: end it first", id_)
                                                      : fmt::format("exec '{}' of container '{}' is running", exec_id, id_));
  }
  Removed removed{.pid = process.pid, .exit = process.exit};
  if (process.status != task::Status::kStopped) {
    removed.exit = killed_now();
  }
  if (exec_id.empty()) {
    destroy();
  } else {
    if (unstarted_exec) {
      end(process, removed.exit);
    }
    linger(process);
    processes_.erase(exec_id);
  }
  containerd::events::TaskDelete event;
  event.set_container_id(id_);
  event.set_pid(static_cast<uint32_t>(removed.pid));
  event.set_exit_status(removed.exit.code);
  task::to_timestamp(removed.exit.time, *event.mutable_exited_at());
  event.set_id(exec_id);
  events_.publish("/tasks/delete", event);
  return removed;
}

void Container::attach(const std::string& exec_id, UniqueFd socket, const task::AttachHeader& header) {
  find(exec_id).streams->attach(std::move(socket), header);
}

void Container::work_on_files(archive::FileRequest request, UniqueFd stream, UniqueFd connection) {
  files_.add(live().work_on_files(std::move(request), std::move(stream)), std::move(connection));
}

void Container::linger(Process& process) {
  if (process.streams && !process.streams->all_sent()) {
    lingering_.push_back(std::move(process.streams));
  }
}

/// After the sandbox was destroyed: ends what was not known to have ended, and drops everything.
void Container::forget() {
  for (auto& [exec_id, process] : processes_) {
    if (process.status != task::Status::kStopped) {
      end(process, killed_now());
    }
    linger(process);
  }
  processes_.clear();
  sandbox_.reset();
  isolation_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(bundle_ / task::kStateFolder, ignored);
}

void Container::destroy() {
  if (sandbox_) {
    for (auto& [exec_id, process] : processes_) {
      process.exit_watch.reset();  // before the sandbox closes the descriptors
    }
    files_.stop();
    sandbox_->destroy();
    forget();
  }
}

bool Container::all_sent() {
  lingering_.remove_if([](const auto& streams) { return streams->all_sent(); });
  return lingering_.empty();
}

bool Container::is_own_child(pid_t pid) const {
  for (const auto& [exec_id, process] : processes_) {
    if (process.pid == pid && process.status != task::Status::kStopped) {
      return true;
    }
  }
  return false;
}

}  // namespace bulkhead::shim
