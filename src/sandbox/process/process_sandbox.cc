#include "sandbox/process/process_sandbox.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <utility>

#include "facts/measure.h"
#include "linux/namespace.h"
#include "linux/pidfd.h"
#include "runner/planner.h"
#include "sandbox/process/thread_file_work.h"
#include "support/error.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::sandbox {

namespace {

std::array<UniqueFd, 3> streams_of(ProcessIo io) { return {std::move(io.in), std::move(io.out), std::move(io.err)}; }

std::vector<oci::Mount> rootfs_of(const std::vector<Mount>& mounts) {
  std::vector<oci::Mount> out;
  out.reserve(mounts.size());
  for (const Mount& mount : mounts) {
    out.push_back({.destination = mount.target, .type = mount.type, .source = mount.source, .options = mount.options});
  }
  return out;
}

std::vector<std::string> bind_destinations(const oci::Spec& spec) {
  std::vector<std::string> found;
  for (const oci::Mount& mount : spec.mounts) {
    if (oci::is_bind(mount)) {
      found.push_back(mount.destination);
    }
  }
  return found;
}

}  // namespace

linux::Cgroup cgroup_of(const std::string& id, const oci::Spec& spec) {
  return linux::Cgroup(spec.linux_.cgroups_path.empty() ? "/bulkhead/" + id : spec.linux_.cgroups_path);
}

ProcessSandbox::ProcessSandbox(SandboxSpec spec, std::optional<linux::SeccompFilter> seccomp, Command command)
    : id_(std::move(spec.id)), spec_(std::move(spec.spec)), seccomp_(std::move(seccomp)), cgroup_(cgroup_of(id_, spec_)) {
  // SECURITY: a filter that somebody wants and nobody has compiled must not be none.
  if (spec_.linux_.seccomp && !seccomp_) {
    throw Error(ErrorCode::kInternal, fmt::format("the seccomp filter of container {} was not compiled", id_));
  }
  cgroup_.create(spec_.linux_.resources);
  auto undo = ScopeGuard([this] {
    try {
      cgroup_.kill_all();
      cgroup_.remove();
    } catch (const Error&) {  // the first error is the one to tell
    }
  });
  auto plan = runner::plan_init({.spec = spec_,
                                 .bundle = std::move(spec.bundle),
                                 .rootfs = rootfs_of(spec.rootfs),
                                 .streams = streams_of(std::move(spec.io)),
                                 .cgroup = cgroup_,
                                 .seccomp = seccomp_,
                                 .replaceable = command == Command::kReplaceable});
  adopt(init_, runner::launch(std::move(plan), {.uid_mappings = spec_.linux_.uid_mappings,
                                                .gid_mappings = spec_.linux_.gid_mappings,
                                                .oom_score_adj = spec_.process.oom_score_adj}));
  if (has_own_namespace("mount")) {
    mounts_ = facts::remember_mounts(init_.started.pid, bind_destinations(spec_));
  }
  undo.dismiss();
}

ProcessSandbox::~ProcessSandbox() {
  try {
    destroy();
  } catch (const Error& error) {
    log::error("container {}: {}", id_, error.message());
  }
}

void ProcessSandbox::adopt(Live& live, std::unique_ptr<runner::Launched> launched) {
  live.launched = std::move(launched);
  live.started.pid = live.launched->pid();
  live.started.exit_descriptor = live.launched->pidfd();
  live.started.console = live.launched->take_console();
  if (live.started.console) {
    live.terminal = UniqueFd(::fcntl(live.started.console.get(), F_DUPFD_CLOEXEC, 3));
  }
}

ProcessSandbox::Live& ProcessSandbox::find(const std::string& exec_id) {
  if (exec_id.empty()) {
    return init_;
  }
  auto found = execs_.find(exec_id);
  if (found == execs_.end()) {
    throw Error(ErrorCode::kNotFound, fmt::format("no exec '{}' in container {}", exec_id, id_));
  }
  return found->second;
}

bool ProcessSandbox::has_own_namespace(std::string_view kind) const {
  const auto& namespaces = spec_.linux_.namespaces;
  return std::any_of(namespaces.begin(), namespaces.end(),
                     [&](const oci::Namespace& each) { return each.type == kind && each.path.empty(); });
}

StartedProcess& ProcessSandbox::init() { return init_.started; }

void ProcessSandbox::personalize(const std::string& hostname, const std::vector<std::string>& args,
                                 const std::vector<std::string>& env) {
  // SECURITY: the name of this container, and of nobody else.
  if (!has_own_namespace("uts")) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} has no hostname of its own", id_));
  }
  spec_.hostname = hostname;
  spec_.process.args = args;
  spec_.process.env = env;
  init_.launched->replace_command(spec_.process);
  linux::set_hostname(init_.launched->pidfd(), hostname);
}

void ProcessSandbox::start() { init_.launched->start(); }

StartedProcess& ProcessSandbox::exec(const std::string& exec_id, const oci::Process& process, ProcessIo io) {
  if (exec_id.empty() || execs_.contains(exec_id)) {
    throw Error(ErrorCode::kConflict, fmt::format("exec '{}' exists in container {}", exec_id, id_));
  }
  if (init_.ended) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} is not running", id_));
  }
  if (cgroup_.frozen()) {  // the process would stop half-way, and we with it
    throw Error(ErrorCode::kConflict, fmt::format("container {} is paused", id_));
  }
  auto plan = runner::plan_exec({.spec = spec_,
                                 .process = process,
                                 .streams = streams_of(std::move(io)),
                                 .cgroup = cgroup_,
                                 .seccomp = seccomp_,
                                 .init_pidfd = init_.launched->pidfd()});
  auto adjust = process.oom_score_adj ? process.oom_score_adj : spec_.process.oom_score_adj;
  auto launched = runner::launch(std::move(plan), {.uid_mappings = {}, .gid_mappings = {}, .oom_score_adj = adjust});
  Live& live = execs_[exec_id];
  adopt(live, std::move(launched));
  return live.started;
}

ExitStatus ProcessSandbox::reap(const std::string& exec_id) {
  Live& live = find(exec_id);
  if (live.ended) {
    throw Error(ErrorCode::kNotFound, fmt::format("the process of container {} was collected before", id_));
  }
  ExitStatus status{.code = linux::wait_child(live.launched->pidfd()).shell_code(), .time = now()};
  live.ended = true;
  if (exec_id.empty()) {
    status.out_of_memory = cgroup_.oom_kills() > 0;
  } else {
    execs_.erase(exec_id);
  }
  return status;
}

void ProcessSandbox::signal(const std::string& exec_id, int signal_number, SignalScope scope) {
  if (scope == SignalScope::kAll) {
    if (signal_number == SIGKILL) {
      cgroup_.thaw();  // v1: a frozen process doesn't end
    }
    cgroup_.signal_all(signal_number);
    return;
  }
  Live& live = find(exec_id);
  if (live.ended) {
    throw Error(ErrorCode::kNotFound, fmt::format("the process of container {} has ended", id_));
  }
  linux::send_signal(live.launched->pidfd(), signal_number);
}

void ProcessSandbox::resize(const std::string& exec_id, uint16_t rows, uint16_t columns) {
  Live& live = find(exec_id);
  if (!live.terminal) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the process of container {} has no terminal", id_));
  }
  winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::ioctl(live.terminal.get(), TIOCSWINSZ, &size) != 0) {
    throw system_error("resize a terminal");
  }
}

void ProcessSandbox::pause() { cgroup_.freeze(); }
void ProcessSandbox::resume() { cgroup_.thaw(); }

void ProcessSandbox::update(const oci::Resources& resources) { cgroup_.apply(resources); }

Statistics ProcessSandbox::statistics() {
  struct sysinfo system {};
  ::sysinfo(&system);
  uint64_t memory = system.totalram * system.mem_unit;  // the limit where the container has none, or a larger one
  linux::CgroupStatistics counted = cgroup_.statistics();
  return {.memory_usage = counted.memory_usage,
          .memory_limit = counted.memory_limit == 0 ? memory : std::min(counted.memory_limit, memory),
          .memory_inactive_file = counted.memory_inactive_file,
          .memory_max_usage = counted.memory_max_usage,
          .cpu_usage = counted.cpu_usage,
          .cpu_user = counted.cpu_user,
          .cpu_system = counted.cpu_system,
          .periods = counted.periods,
          .throttled_periods = counted.throttled_periods,
          .throttled_time = counted.throttled_time,
          .pids_current = counted.pids_current,
          .pids_limit = counted.pids_limit};
}

std::vector<pid_t> ProcessSandbox::processes() { return cgroup_.processes(); }

std::unique_ptr<FileWork> ProcessSandbox::work_on_files(archive::FileRequest request, UniqueFd stream) {
  if (init_.ended) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} is not running", id_));
  }
  // The init is our child and not collected: this is its number. From here the kernel walks the container's own mounts.
  UniqueFd root(::open(fmt::format("/proc/{}/root", init_.started.pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} has just ended", id_));
  }
  return std::make_unique<ThreadFileWork>(std::move(root), std::move(request), std::move(stream));
}

void ProcessSandbox::measure(facts::Wall& wall) {
  if (init_.ended) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} is not running", id_));
  }
  std::map<pid_t, std::string> execs;
  for (const auto& [exec_id, live] : execs_) {
    if (!live.ended) {
      execs.emplace(live.started.pid, exec_id);
    }
  }
  facts::measure({.init = init_.started.pid, .execs = std::move(execs), .cgroup = cgroup_, .mounts = mounts_}, wall);
}

void ProcessSandbox::kill_process(Live& live) const {
  if (!live.launched || live.ended) {
    return;
  }
  try {
    linux::send_signal(live.launched->pidfd(), SIGKILL);
  } catch (const Error&) {  // it has ended by itself
  }
}

void ProcessSandbox::destroy() {
  if (destroyed_) {
    return;
  }
  bool alone = has_own_namespace("pid") && init_.ended && execs_.empty();
  if (!alone) {  // where the init of a PID namespace was collected, the kernel has ended all that was inside
    cgroup_.thaw();
    kill_process(init_);
    for (auto& [id, live] : execs_) {
      kill_process(live);
    }
    // Execs before the init: it isn't gone before everything in its PID namespace has been collected (pid_namespaces(7)).
    for (auto& [id, live] : execs_) {
      linux::wait_child(live.launched->pidfd());
    }
    execs_.clear();
    if (init_.launched && !init_.ended) {
      linux::wait_child(init_.launched->pidfd());
      init_.ended = true;
    }
    cgroup_.kill_all();
  }
  cgroup_.remove();
  destroyed_ = true;
}

}  // namespace bulkhead::sandbox
