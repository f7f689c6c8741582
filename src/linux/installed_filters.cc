#include "linux/installed_filters.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <exception>
#include <thread>

#include "support/error.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

namespace bulkhead::linux {
namespace {

constexpr auto kGetFilter = static_cast<__ptrace_request>(0x420c);  // PTRACE_SECCOMP_GET_FILTER, Linux 4.4
constexpr size_t kMostFilters = 64;

void* as_pointer(uintptr_t value) { return reinterpret_cast<void*>(value); }  // NOLINT(performance-no-int-to-ptr): ptrace(2)

/// This thread's tracee, standing still.
class StoppedProcess {
 public:
  StoppedProcess(pid_t pid, std::chrono::milliseconds patience) : pid_(pid) {
    // SEIZE, not ATTACH: no SIGSTOP that the process or its parent could see. No PTRACE_O_EXITKILL.
    if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) {
      throw system_error(fmt::format("look into process {}", pid));
    }
    if (::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) {
      throw system_error(fmt::format("stop process {}", pid));
    }
    await_stop(patience);
  }

  /// Where it did not stop, the end of the thread lets go.
  ~StoppedProcess() { ::ptrace(PTRACE_DETACH, pid_, nullptr, as_pointer(signal_)); }
  StoppedProcess(const StoppedProcess&) = delete;
  StoppedProcess& operator=(const StoppedProcess&) = delete;

  FilterChain filters() const {
    FilterChain chain;
    for (size_t index = 0; index < kMostFilters; ++index) {
      long count = ::ptrace(kGetFilter, pid_, as_pointer(index), nullptr);
      if (count < 0 && (errno == ENOENT || errno == EINVAL)) {  // no more, or none at all
        break;
      }
      std::vector<sock_filter> program(count < 0 ? 0 : static_cast<size_t>(count));
      if (count < 0 || ::ptrace(kGetFilter, pid_, as_pointer(index), program.data()) != count) {
        throw system_error(fmt::format("read a seccomp filter of process {}", pid_));
      }
      chain.push_back(std::move(program));
    }
    return chain;
  }

 private:
  void await_stop(std::chrono::milliseconds patience) {
    auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
      siginfo_t info{};
      // Without WEXITED: an exit status is the sandbox's to collect.
      if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG | __WALL) != 0) {
        throw system_error(fmt::format("await the stop of process {}", pid_));
      }
      if (info.si_pid == pid_) {
        // What it stopped for may be a signal that was on its way: that goes on with it.
        bool ours = info.si_status >> 8 == PTRACE_EVENT_STOP;
        signal_ = ours ? 0 : static_cast<uintptr_t>(info.si_status & 0x7f);
        return;
      }
      if (std::chrono::steady_clock::now() > end) {
        throw Error(ErrorCode::kDeadlineExceeded, fmt::format("process {} did not stop within {} ms", pid_, patience.count()));
      }
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  pid_t pid_;
  uintptr_t signal_ = 0;
};

}  // namespace

FilterChain read_installed_filters(pid_t pid, std::chrono::milliseconds patience) {
  FilterChain chain;
  std::exception_ptr failure;
  std::thread([&] {
    try {
      chain = StoppedProcess(pid, patience).filters();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) {
    std::rethrow_exception(failure);
  }
  return chain;
}

}  // namespace bulkhead::linux
