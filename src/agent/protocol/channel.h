// ttrpc frames over a non-blocking stream of any kind (a socket on the host, a virtio-serial port in the guest).
//
// Owned by a Caller or a Server; the loop's thread only. Outlives the loop's last turn. Writing to a peer that is gone may
// raise SIGPIPE: the owner's thread ignores or blocks it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/protocol/event_loop.h"
#include "support/error.h"
#include "support/unique_fd.h"
#include "ttrpc/frame.h"

namespace bulkhead::agent {

class Channel {
 public:
  using FrameHandler = std::function<void(ttrpc::Frame)>;
  using LossHandler = std::function<void(const Error&)>;

  /// `on_lost` is called once, from the loop, where the peer is gone or breaks the protocol; nothing is called after it.
  Channel(EventLoop& loop, UniqueFd stream, FrameHandler on_frame, LossHandler on_lost);

  /// Sends as the peer takes it; after a loss nothing.
  void send(std::string_view frame);
  /// The stream again, for another owner; nothing is called any more. Throws kConflict where bytes are on their way.
  UniqueFd release();
  size_t unsent() const { return out_.size() - sent_; }

 private:
  void on_events(short events);
  void read_some();
  void write_some();
  void lose(const Error& error);

  EventLoop& loop_;
  UniqueFd stream_;
  FrameHandler on_frame_;
  LossHandler on_lost_;
  ttrpc::FrameReader reader_;
  std::string out_;
  size_t sent_ = 0;
  bool lost_ = false;
  Watch watch_;  // last: goes before the stream
};

}  // namespace bulkhead::agent
