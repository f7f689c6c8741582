#include "runner/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "linux/namespace.h"
#include "runner/child.h"
#include "runner/failure.h"
#include "runner/planner.h"
#include "support/descriptor_passing.h"
#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"

namespace bulkhead::runner {

namespace {

struct Channel {
  UniqueFd parent, child;
};

Channel make_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    throw system_error("make a socket pair");
  }
  Channel channel{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (ends[1] <= 2) {  // the child's standard streams will be put there
    channel.child.reset(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3));
    if (!channel.child) {
      throw system_error("make a socket pair");
    }
  }
  return channel;
}

[[noreturn]] void run_child(Plan& plan, int channel, int parent_end) {
  ::close(parent_end);  // else this process would hold its own parent's end open
  Child child{.plan = plan, .channel = channel};
  if (plan.container) {
    run_init(child);
  }
  run_exec(child);
}

// Signals stay blocked across the clone: a handler of this process must not run in the child.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t old_{};
};

pid_t clone_child(Plan& plan, const Channel& channel, UniqueFd& pidfd) {
  int fd = -1;
  clone_args arguments{};
  arguments.flags = plan.clone_flags | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uint64_t>(&fd);
  arguments.exit_signal = SIGCHLD;
  if (plan.cgroup_folder) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(plan.cgroup_folder.get());
  }
  BlockedSignals blocked;
  std::optional<linux::ScopedPidNamespace> inside;
  if (plan.pid_namespace) {
    inside.emplace(plan.pid_namespace.get());
  }
  long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid == 0) {
    run_child(plan, channel.child.get(), channel.parent.get());
  }
  if (pid < 0) {
    throw system_error("clone3 the container's process");
  }
  pidfd.reset(fd);
  return static_cast<pid_t>(pid);
}

void write_mappings(pid_t pid, const char* file, const std::vector<oci::IdMapping>& mappings) {
  std::string text;
  for (const oci::IdMapping& mapping : mappings) {
    text += fmt::format("{} {} {}\n", mapping.container_id, mapping.host_id, mapping.size);
  }
  if (!text.empty()) {
    write_existing(fmt::format("/proc/{}/{}", pid, file), text);
  }
}

void send_command(int channel, Command command) {
  if (::send(channel, &command, sizeof(command), MSG_NOSIGNAL) != sizeof(command) && errno != EPIPE) {
    throw system_error("speak to the container's process");
  }
}

/// One report; false where the child's end is closed. A descriptor that came with it is put into `passed`.
bool receive(int channel, Report& report, UniqueFd& passed) {
  ReceivedMessage received = receive_with_descriptors(channel, {reinterpret_cast<char*>(&report), sizeof(report)}, 1);
  if (received.size < 0 && errno != ECONNRESET) {
    throw system_error("listen to the container's process");
  }
  if (received.size != sizeof(report)) {
    return false;
  }
  if (!received.descriptors.empty()) {
    passed = std::move(received.descriptors.front());
  }
  return true;
}

}  // namespace

void Launched::converse() {
  bool until_ready = plan_->container.has_value();
  for (;;) {
    Report report;
    UniqueFd passed;
    if (!receive(channel_.get(), report, passed)) {
      if (!until_ready) {
        return;  // closed by execve
      }
      throw Error(ErrorCode::kInternal, "the container's process ended while it was being confined, without a word");
    }
    switch (report.kind) {
      case ReportKind::kConsole: console_ = std::move(passed); break;
      case ReportKind::kReady: return;
      case ReportKind::kFailed: throw describe(*plan_, report);
    }
  }
}

void Launched::replace_command(const oci::Process& process) {
  if (!plan_ || !plan_->process.shared) {
    throw Error(ErrorCode::kConflict, "the container's command can't be replaced");
  }
  plan_command(*plan_, process);
}

void Launched::start() {
  if (!plan_) {
    throw Error(ErrorCode::kConflict, "the container was started before");
  }
  std::unique_ptr<Plan> plan = std::move(plan_);  // its descriptors and memory go at the end of this
  send_command(channel_.get(), Command::kStart);
  Report report;
  UniqueFd passed;
  bool failed = receive(channel_.get(), report, passed);
  channel_.reset();
  if (failed) {
    throw describe(*plan, report);
  }
}

void Launched::configure(const LaunchOptions& options, bool user_namespace) const {
  if (options.oom_score_adj) {
    write_existing(fmt::format("/proc/{}/oom_score_adj", pid_), std::to_string(*options.oom_score_adj));
  }
  if (user_namespace) {
    write_mappings(pid_, "uid_map", options.uid_mappings);
    write_mappings(pid_, "gid_map", options.gid_mappings);
    send_command(channel_.get(), Command::kMapped);
  }
}

std::unique_ptr<Launched> launch(std::unique_ptr<Plan> plan, const LaunchOptions& options) {
  auto launched = std::make_unique<Launched>();
  launched->plan_ = std::move(plan);
  Plan& running = *launched->plan_;
  Channel channel = make_channel();
  launched->pid_ = clone_child(running, channel, launched->pidfd_);
  channel.child.reset();
  launched->channel_ = std::move(channel.parent);
  auto undo = ScopeGuard([&launched] {
    try {
      linux::send_signal(launched->pidfd(), SIGKILL);
    } catch (const Error&) {  // it has ended by itself
    }
    linux::wait_child(launched->pidfd());
  });
  std::optional<Error> failure;
  try {
    launched->configure(options, running.container && running.container->user_namespace);
  } catch (const Error& error) {
    failure = error;  // where the child has failed by itself, its own report says why
  }
  if (!failure || !running.container || !running.container->user_namespace) {  // else it waits for its mappings
    launched->converse();
  }
  if (failure) {
    throw *failure;
  }
  if (!running.container) {
    launched->plan_.reset();
    launched->channel_.reset();
  }
  undo.dismiss();
  return launched;
}

}  // namespace bulkhead::runner
