// The user's terminal: its size, raw mode with restoration, and signals as something to poll. One of each per process; used
// by the main thread.
#pragma once

#include <termios.h>

#include <csignal>
#include <cstddef>
#include <optional>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::cli {

struct WindowSize {
  unsigned rows = 0, columns = 0;
};
/// nullopt where `fd` is no terminal or it doesn't know.
std::optional<WindowSize> window_size(int fd);
/// Columns to fit a table of standard output into; 0: no terminal, no limit.
size_t output_width();

/// Raw mode while it lives. Restored by the destructor, and by a handler on signals that end the process abnormally.
class RawTerminal {
 public:
  /// Throws where `fd` is no terminal.
  explicit RawTerminal(int fd);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  int fd_;
  termios before_{};
};

/// Blocks the given signals and makes them readable.
class SignalSource {
 public:
  explicit SignalSource(const std::vector<int>& signals);
  ~SignalSource();
  SignalSource(const SignalSource&) = delete;
  SignalSource& operator=(const SignalSource&) = delete;
  int descriptor() const { return fd_.get(); }
  /// One that is pending; nullopt where none is.
  std::optional<int> take();

 private:
  sigset_t before_{};
  UniqueFd fd_;
};

/// What a client passes on to the container: everything that has a meaning for it and that can be caught.
std::vector<int> forwarded_signals();

}  // namespace bulkhead::cli
