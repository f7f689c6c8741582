// The agent's side: requests from the host, each answered once, now or later.
//
// One loop's thread. The agent trusts the host: what breaks the protocol ends the VM.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/protocol/channel.h"

namespace google::protobuf {
class MessageLite;
}

namespace bulkhead::agent {

class Server;

/// Owed for one request. Copies share it; the first answer counts.
class Reply {
 public:
  Reply(Server& server, uint32_t stream);
  void succeed(const google::protobuf::MessageLite& message) const;
  void succeed() const;
  void fail(const Error& error) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

class Server {
 public:
  /// May throw Error: it becomes the answer.
  using Handler = std::function<void(const std::string& method, const std::string& payload, const Reply&)>;

  Server(EventLoop& loop, UniqueFd stream, Handler handler, std::function<void(const Error&)> on_lost);

 private:
  friend class Reply;
  void on_frame(const ttrpc::Frame& frame);

  Handler handler_;
  Channel channel_;
};

}  // namespace bulkhead::agent
