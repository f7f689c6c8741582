#include "sandbox/vm/machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "sandbox/vm/jail.h"
#include "sandbox/vm/qemu_seccomp.h"
#include "sandbox/vm/qmp_commands.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

std::pair<UniqueFd, UniqueFd> make_socket_pair() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw system_error("make a socket pair");
  }
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void need(const std::filesystem::path& file, const char* what, const char* remedy) {
  struct stat status {};
  if (file.empty() || ::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kNotSupported, fmt::format("hyperv isolation needs {} at '{}': {}", what, file.native(), remedy));
  }
}

JailSpec jail_of(const Configuration& configuration, MachineRequest& request, Origin origin) {
  JailSpec jail;
  jail.arguments = qemu_arguments(configuration.qemu, request.shape, origin);
  if (origin != Origin::kClone) {
    jail.binds = {{.source = configuration.kernel, .target = kJailKernel},
                  {.source = configuration.initramfs, .target = kJailInitramfs}};
  }
  jail.folders = {kJailShares};
  jail.filter = linux::compile_seccomp(qemu_seccomp(request.shares.empty() ? FileServer::kNone : FileServer::kShares));
  jail.staging = request.staging;
  jail.cgroup = request.cgroup;
  jail.user = choose_jail_user();
  if (!request.shares.empty()) {
    jail.user_namespace = linux::make_user_namespace(jail.user, kJailIds);
    jail.shares = open_shares(request.shares, jail.user_namespace);
    jail.shares_folder = kJailShares;
  }
  if (request.shape.accelerator == Accelerator::kKvm) {
    jail.binds.push_back({.source = "/dev/kvm", .target = "/dev/kvm", .device = true});
    struct stat status {};
    if (::stat("/dev/kvm", &status) == 0) {
      jail.groups = {status.st_gid};
    }
  }
  jail.files.push_back({.file = std::move(request.image), .number = kImageFd});
  jail.files.push_back({.file = std::move(request.scratch), .number = kScratchFd});
  jail.files.push_back({.file = std::move(request.tap), .number = kTapFd});
  return jail;
}

}  // namespace

void Machine::check(const Configuration& configuration) {
  need(configuration.qemu, "QEMU", "install the package qemu-system-x86");
  need(configuration.kernel, "a guest kernel", "build it with guest/build-kernel.sh");
  need(configuration.initramfs, "the guest's initramfs", "it is built with the engine");
}

std::unique_ptr<Machine> Machine::boot(const Configuration& configuration, MachineRequest request) {
  return start(configuration, std::move(request), Origin::kBoot, {});
}

std::unique_ptr<Machine> Machine::boot_template(const Configuration& configuration, MachineRequest request,
                                                const UniqueFd& memory) {
  return start(configuration, std::move(request), Origin::kTemplate, memory);
}

std::unique_ptr<Machine> Machine::clone(const Configuration& configuration, MachineRequest request, const Template& from) {
  auto machine = start(configuration, std::move(request), Origin::kClone, from.memory);
  // Opened again: clones that start at the same time read it each at its own place.
  UniqueFd devices = open_file(fmt::format("/proc/self/fd/{}", from.devices.get()), O_RDONLY);
  restore_devices(*machine->qmp_, devices.get(), configuration.boot_timeout);
  return machine;
}

std::unique_ptr<Machine> Machine::start(const Configuration& configuration, MachineRequest request, Origin origin,
                                        const UniqueFd& memory) {
  check(configuration);
  bool log = request.shape.console_log == ConsoleLog::kFile;
  JailSpec jail = jail_of(configuration, request, origin);
  auto [monitor, their_monitor] = make_socket_pair();
  auto [agent, their_agent] = make_socket_pair();
  jail.files.push_back({.file = std::move(their_monitor), .number = kMonitorFd});
  jail.files.push_back({.file = std::move(their_agent), .number = kAgentFd});
  if (memory) {
    jail.files.push_back({.file = duplicate(memory.get()), .number = kMemoryFd});
  }
  if (log) {
    UniqueFd file = open_file(configuration.console_log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    jail.files.push_back({.file = std::move(file), .number = kConsoleFd});
  }

  std::unique_ptr<Machine> machine(new Machine());
  Jailed jailed = start_jailed(std::move(jail));
  machine->pid_ = jailed.pid;
  machine->pidfd_ = std::move(jailed.pidfd);
  machine->agent_ = std::move(agent);
  try {
    machine->qmp_ = std::make_unique<Qmp>(std::move(monitor), configuration.boot_timeout);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable) {
      throw error.wrap("start QEMU: " + machine->why_lost());
    }
    throw error.wrap("start QEMU");
  }
  return machine;
}

std::unique_ptr<Machine> Machine::adopt(WarmMachine warm, std::chrono::milliseconds patience) {
  std::unique_ptr<Machine> machine(new Machine());
  machine->parent_ = Parent::kAnother;
  machine->pid_ = warm.pid;
  machine->pidfd_ = std::move(warm.pidfd);
  machine->agent_ = std::move(warm.agent);
  machine->changes_ = warm.changes;
  machine->qmp_ = std::make_unique<Qmp>(Qmp::adopt(std::move(warm.monitor), patience));
  return machine;
}

WarmMachine Machine::give_away() {
  WarmMachine warm;
  warm.monitor = qmp_->release();
  warm.pid = pid_;
  warm.pidfd = std::move(pidfd_);
  warm.agent = std::move(agent_);
  warm.changes = changes_;
  return warm;
}

Machine::~Machine() { kill(); }

void Machine::change_image(const UniqueFd& image) { vm::change_image(*qmp_, image, changes_.image++); }
void Machine::change_scratch(const UniqueFd& scratch) { vm::change_scratch(*qmp_, scratch, changes_.scratch++); }

void Machine::save(const UniqueFd& file, std::chrono::milliseconds timeout) {
  stop();
  save_devices(*qmp_, file.get(), timeout);
}

void Machine::stop() { qmp_->execute("stop"); }
void Machine::resume() { qmp_->execute("cont"); }

std::optional<linux::WaitResult> Machine::collect() const {
  if (parent_ == Parent::kThis) {
    return linux::try_wait_child(pidfd_.get());
  }
  // Its parent, or the host's init, collects it: how it ended isn't ours to know.
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, 0) == 1 ? std::optional(linux::WaitResult()) : std::nullopt;
}

void Machine::begin_end() noexcept {
  try {
    linux::send_signal(pidfd_.get(), SIGKILL);
  } catch (const Error&) {  // it has ended by itself
  }
}

void Machine::end() noexcept {
  begin_end();
  constexpr int kPatience = 10'000;  // milliseconds; killed, it is gone as soon as its memory is
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  ::poll(&ended, 1, kPatience);
}

void Machine::kill() noexcept {
  if (collected_ || !pidfd_) {
    return;
  }
  collected_ = true;
  end();
  try {
    collect();
  } catch (const Error&) {  // nothing to collect
  }
}

std::string Machine::why_lost() {
  // Its sockets close a moment before it has ended.
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  ::poll(&ended, 1, 2000);
  auto result = collected_ ? std::nullopt : collect();
  if (!result) {
    kill();
    return "the VM was ended";
  }
  collected_ = true;
  std::string reason = qmp_ ? qmp_->shutdown_reason() : std::string();
  if (result->signal != 0) {
    return fmt::format("QEMU was killed by signal {}", result->signal);
  }
  if (reason == "guest-reset" || reason == "guest-panic") {
    return "the guest's kernel panicked or restarted";
  }
  if (reason == "guest-shutdown") {
    return "the guest shut down";
  }
  return parent_ == Parent::kThis ? fmt::format("QEMU exited with status {}", result->code)
                                  : "QEMU ended and gave no reason: it was killed, or failed at what the guest did";
}

}  // namespace bulkhead::sandbox::vm
