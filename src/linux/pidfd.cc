#include "linux/pidfd.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/error.h"

namespace bulkhead::linux {

namespace {

constexpr int kWaitPidfd = 3;  // P_PIDFD, which glibc's idtype_t lacks before 2.36

std::optional<WaitResult> wait_with(int pidfd, int options) {
  siginfo_t info{};
  while (::waitid(static_cast<idtype_t>(kWaitPidfd), static_cast<id_t>(pidfd), &info, WEXITED | options) != 0) {
    if (errno != EINTR) {
      throw system_error("wait for a process");
    }
  }
  if (info.si_pid == 0) {
    return std::nullopt;
  }
  if (info.si_code == CLD_EXITED) {
    return WaitResult{.code = info.si_status};
  }
  return WaitResult{.signal = info.si_status};
}

}  // namespace

UniqueFd open_pidfd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) {
    throw system_error(fmt::format("pidfd_open process {}", pid));
  }
  return fd;
}

void send_signal(int pidfd, int signal_number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0) == 0) {
    return;
  }
  if (errno == ESRCH) {
    throw Error(ErrorCode::kNotFound, "the process has ended");
  }
  throw system_error(fmt::format("send signal {}", signal_number));
}

WaitResult wait_child(int pidfd) { return *wait_with(pidfd, 0); }

std::optional<WaitResult> try_wait_child(int pidfd) { return wait_with(pidfd, WNOHANG); }

}  // namespace bulkhead::linux
