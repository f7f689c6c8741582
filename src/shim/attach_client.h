// One attach connection whose header was accepted: sends a process's output as Docker's frames (raw with a terminal), and
// takes its standard input.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "shim/event_loop.h"
#include "shim/json_log.h"
#include "shim/send_queue.h"
#include "support/unique_fd.h"
#include "task/attach_header.h"

namespace bulkhead::shim {

enum class Framing { kRaw, kFramed };

class AttachClient {
 public:
  struct Events {
    std::function<void(std::string_view)> input;  // bytes for standard input
    std::function<void()> input_ended;            // the client will send no more
    std::function<void()> changed;                // `unsent` or `gone` may have changed
  };

  AttachClient(EventLoop& loop, UniqueFd socket, task::AttachHeader header, Framing framing, Events events);

  const task::AttachHeader& header() const { return header_; }
  bool gone() const { return gone_; }
  size_t unsent() const { return queue_.size(); }
  void send(StreamKind stream, std::string_view bytes);
  void set_reads_input(bool reads);
  /// The process has ended: no more is read; `gone` once everything was sent.
  void finish();

 private:
  void on_event(uint32_t events);
  void read_input();
  void settle(SendQueue::Peer peer);
  uint32_t wanted_events() const;
  void leave();

  EventLoop& loop_;
  UniqueFd socket_;
  task::AttachHeader header_;
  Framing framing_;
  Events events_;
  SendQueue queue_;
  bool reads_input_ = false;
  bool input_ended_ = false;
  bool finishing_ = false;
  bool hung_up_ = false;  // the client has gone; what it sent before isn't read yet
  bool gone_ = false;
  Watch watch_;
};

}  // namespace bulkhead::shim
