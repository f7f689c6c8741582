// The writing end of a process's standard input (a pipe, or the terminal): bytes wait here while the process doesn't read.
#pragma once

#include <functional>
#include <string_view>

#include "shim/event_loop.h"
#include "shim/send_queue.h"
#include "support/unique_fd.h"

namespace bulkhead::shim {

class InputStream {
 public:
  /// Takes the descriptor, makes it non-blocking. `on_change` is called when `wants_more` may have changed.
  InputStream(EventLoop& loop, UniqueFd fd, std::function<void()> on_change);

  /// False while what was written waits: whoever feeds should stop reading its own source.
  bool wants_more() const { return fd_.valid() && !closing_ && queue_.size() < kMaxWaiting; }
  bool open() const { return fd_.valid() && !closing_; }
  void write(std::string_view bytes);
  /// Once everything written was taken.
  void close_when_written();
  void close();

 private:
  static constexpr size_t kMaxWaiting = 64UL << 10;
  void settle(SendQueue::Peer peer);

  EventLoop& loop_;
  UniqueFd fd_;
  Watch watch_;
  SendQueue queue_;
  bool closing_ = false;
  std::function<void()> on_change_;
};

}  // namespace bulkhead::shim
