// Sends a task's events to containerd (service containerd.services.events.ttrpc.v1.Events at TTRPC_ADDRESS), where there is
// one. Never blocks: events wait for a containerd that is restarting, the oldest are dropped beyond a bound.
#pragma once

#include <deque>
#include <filesystem>
#include <string>

#include "shim/event_loop.h"
#include "shim/send_queue.h"
#include "support/unique_fd.h"

namespace google::protobuf {
class MessageLite;
}

namespace bulkhead::shim {

class EventPublisher {
 public:
  /// `address` empty: nobody listens, events go nowhere.
  EventPublisher(EventLoop& loop, std::filesystem::path address, std::string name_space);

  /// `topic` is containerd's ("/tasks/exit"), `event` one of containerd.events.
  void publish(const std::string& topic, const google::protobuf::MessageLite& event);
  /// Before the shim ends: waits, a second at most, until containerd has answered all that was sent.
  void flush();

 private:
  void connect_and_send();
  void on_event(uint32_t events);
  void disconnect();

  EventLoop& loop_;
  std::filesystem::path address_;
  std::string name_space_;
  std::deque<std::string> waiting_;  // frames not handed to the socket's queue yet
  size_t unanswered_ = 0;
  uint32_t next_stream_ = 1;
  UniqueFd socket_;
  SendQueue queue_;
  Watch watch_;
};

}  // namespace bulkhead::shim
