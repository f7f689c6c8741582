// One connection of a ttrpc server, for the caller's event loop: it never blocks, and an answer may be given later.
//
// Owned by a shared_ptr (answers that come after the connection went are dropped). One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "support/error.h"
#include "support/unique_fd.h"
#include "ttrpc/frame.h"

namespace google::protobuf {
class MessageLite;
}

namespace bulkhead::ttrpc {

class ServerConnection;

/// The one answer to one request. Exactly one of `succeed` and `fail` counts; where neither was called the request fails when
/// the last copy goes.
class Responder {
 public:
  Responder(std::weak_ptr<ServerConnection> connection, uint32_t stream);
  void succeed(const google::protobuf::MessageLite& message);
  void fail(const Error& error);

 private:
  struct Answer;
  std::shared_ptr<Answer> answer_;
};

struct Call {
  std::string service;
  std::string method;
  std::string payload;
};

enum class WriteInterest { kNone, kWanted };

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  /// May throw Error: it becomes the answer.
  using Handler = std::function<void(const Call&, Responder)>;

  /// `socket` is non-blocking. `set_interest` is told when the socket should be watched for writing.
  ServerConnection(UniqueFd socket, Handler handler, std::function<void(WriteInterest)> set_interest);

  int descriptor() const { return socket_.get(); }
  /// Call when the socket polls readable or writable. Throws where the peer is gone (kUnavailable), breaks the protocol
  /// (kDataLoss), or doesn't read its answers (kResourceExhausted): the connection must then be dropped.
  void on_readable();
  void on_writable();

 private:
  friend class Responder;
  void dispatch(Frame frame);
  void send(uint32_t stream, std::string_view response);

  UniqueFd socket_;
  Handler handler_;
  std::function<void(WriteInterest)> set_interest_;
  FrameReader reader_;
  std::string out_;
  size_t sent_ = 0;
  size_t open_calls_ = 0;
  bool broken_ = false;
};

}  // namespace bulkhead::ttrpc
