// The host's side: requests to an agent, answered later.
//
// One loop's thread. SECURITY: the peer is hostile; answers are bounded (kMaxAnswer), unexpected ones end the connection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/protocol/channel.h"

namespace google::protobuf {
class MessageLite;
}

namespace bulkhead::agent {

/// A parsed answer's bytes, or why there is none.
struct Answer {
  std::string payload;
  std::optional<Error> error;

  /// Parses into `response`; throws the error, or kDataLoss where the bytes are none of that message.
  void get(google::protobuf::MessageLite& response) const;
};

class Caller {
 public:
  using AnswerHandler = std::function<void(Answer)>;

  /// `on_lost`: after it every call that waited, and every later one, is answered with that error.
  Caller(EventLoop& loop, UniqueFd stream, std::function<void(const Error&)> on_lost);

  /// `on_answer` is called from the loop, never from inside `call`.
  void call(const char* method, const google::protobuf::MessageLite& request, AnswerHandler on_answer);
  /// The stream again, for another caller. Throws kConflict where an answer is awaited; after it this one is of no use.
  UniqueFd release();
  /// Nothing more is sent or received; what waits is answered with `error`.
  void close(const Error& error);

 private:
  void on_frame(const ttrpc::Frame& frame);

  EventLoop& loop_;
  std::function<void(const Error&)> on_lost_;
  std::map<uint32_t, AnswerHandler> waiting_;
  uint32_t next_stream_ = 1;
  std::optional<Error> lost_;
  Channel channel_;
};

}  // namespace bulkhead::agent
