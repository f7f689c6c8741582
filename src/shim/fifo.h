// The FIFOs that containerd's clients pass for a process's streams.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "shim/event_loop.h"
#include "shim/send_queue.h"
#include "support/unique_fd.h"

namespace bulkhead::shim {

/// Where output goes. Opened for reading too, so that a client may go and another come without the shim seeing EPIPE.
class FifoSink {
 public:
  FifoSink(EventLoop& loop, const std::filesystem::path& path, std::function<void()> on_change);
  void send(std::string_view bytes);
  size_t unsent() const { return queue_.size(); }
  /// Closes once everything was sent: the client then reads the end.
  void finish();

 private:
  void settle(SendQueue::Peer peer);

  EventLoop& loop_;
  UniqueFd fd_;
  SendQueue queue_;
  std::function<void()> on_change_;
  bool finishing_ = false;
  Watch watch_;
};

/// Where standard input comes from. A writing end is held, so that a client may go and another come, until `close_writer`
/// (CloseIO); the end comes when the last client has closed it too.
class FifoSource {
 public:
  FifoSource(EventLoop& loop, const std::filesystem::path& path, std::function<void(std::string_view)> on_input,
             std::function<void()> on_end);
  void set_reads(bool reads);
  void close_writer() { writer_.reset(); }

 private:
  void on_event();

  EventLoop& loop_;
  UniqueFd fd_;
  UniqueFd writer_;
  std::function<void(std::string_view)> on_input_;
  std::function<void()> on_end_;
  Watch watch_;
};

}  // namespace bulkhead::shim
