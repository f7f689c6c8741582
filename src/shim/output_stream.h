// One of a process's output streams: reads what the process writes, in chunks, and hands each to a receiver.
#pragma once

#include <functional>
#include <string_view>

#include "shim/event_loop.h"
#include "shim/json_log.h"
#include "support/unique_fd.h"

namespace bulkhead::shim {

class OutputStream {
 public:
  using Receiver = std::function<void(StreamKind, std::string_view)>;

  /// Starts reading `fd`, which it makes non-blocking.
  OutputStream(EventLoop& loop, StreamKind kind, UniqueFd fd, Receiver receiver);

  StreamKind kind() const { return kind_; }
  bool open() const { return fd_.valid(); }
  /// While paused nothing is read, so that the process comes to wait in write(2).
  void set_paused(bool paused);
  /// Reads what is there now, paused or not, and closes. At most one pipe's content: whoever still writes is not awaited.
  void drain_and_close();

 private:
  enum class Outcome { kMore, kEmpty, kEnded };
  Outcome read_chunk(size_t& count);
  void on_event();

  EventLoop& loop_;
  StreamKind kind_;
  UniqueFd fd_;
  Watch watch_;
  Receiver receiver_;
};

}  // namespace bulkhead::shim
