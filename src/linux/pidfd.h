// Processes by descriptor (pidfd_open(2)): no call here can hit a recycled process id.
#pragma once

#include <sys/types.h>

#include <optional>

#include "support/unique_fd.h"

namespace bulkhead::linux {

/// How a process ended: an exit code 0..255, or the signal that ended it.
struct WaitResult {
  int code = 0;
  int signal = 0;  // 0: it exited by itself

  /// As a shell and Docker tell it: 128 + n for signal n.
  int shell_code() const { return signal != 0 ? 128 + signal : code; }
};

UniqueFd open_pidfd(pid_t pid);
/// kNotFound where the process has ended.
void send_signal(int pidfd, int signal_number);
/// Collects a child. Blocks until it has ended.
WaitResult wait_child(int pidfd);
/// nullopt while the child lives.
std::optional<WaitResult> try_wait_child(int pidfd);

}  // namespace bulkhead::linux
