#include "ttrpc/server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "ttrpc/status.h"
#include "ttrpc/ttrpc.pb.h"

namespace bulkhead::ttrpc {
namespace {

// SECURITY: what one peer may make the server hold.
constexpr size_t kMaxOpenCalls = 4096;
constexpr size_t kMaxUnsent = 16UL << 20;

}  // namespace

struct Responder::Answer {
  std::weak_ptr<ServerConnection> connection;
  uint32_t stream = 0;
  bool given = false;

  void give(const wire::Response& response) {
    if (std::exchange(given, true)) {
      return;
    }
    if (auto open = connection.lock()) {
      open->send(stream, response.SerializeAsString());
    }
  }

  ~Answer() {
    if (!given) {
      wire::Response response;
      to_status(Error(ErrorCode::kUnavailable, "the request was dropped"), *response.mutable_status());
      give(response);
    }
  }
};

Responder::Responder(std::weak_ptr<ServerConnection> connection, uint32_t stream) : answer_(std::make_shared<Answer>()) {
  answer_->connection = std::move(connection);
  answer_->stream = stream;
}

void Responder::succeed(const google::protobuf::MessageLite& message) {
  wire::Response response;
  response.set_payload(message.SerializeAsString());
  answer_->give(response);
}

void Responder::fail(const Error& error) {
  wire::Response response;
  to_status(error, *response.mutable_status());
  answer_->give(response);
}

ServerConnection::ServerConnection(UniqueFd socket, Handler handler, std::function<void(WriteInterest)> set_interest)
    : socket_(std::move(socket)), handler_(std::move(handler)), set_interest_(std::move(set_interest)) {}

void ServerConnection::on_readable() {
  auto keep = shared_from_this();
  std::array<char, 16384> bytes;
  ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count < 0) {
    throw system_error("receive from a ttrpc peer");
  }
  if (count == 0) {
    throw Error(ErrorCode::kUnavailable, "the ttrpc peer closed the connection");
  }
  reader_.feed(std::string_view(bytes.data(), static_cast<size_t>(count)));
  while (auto frame = reader_.next()) {
    dispatch(std::move(*frame));
  }
  if (broken_) {
    throw Error(ErrorCode::kResourceExhausted, "the ttrpc peer doesn't read its answers");
  }
}

void ServerConnection::dispatch(Frame frame) {
  if (frame.type != FrameType::kRequest) {
    throw Error(ErrorCode::kDataLoss, "a ttrpc client sent a frame that is no request");
  }
  // PROTOCOL.md: streams that a client opens are odd.
  if (frame.stream % 2 == 0) {
    throw Error(ErrorCode::kDataLoss, fmt::format("a ttrpc client used stream {}, which is not odd", frame.stream));
  }
  ++open_calls_;
  Responder responder(weak_from_this(), frame.stream);
  wire::Request request;
  try {
    if (open_calls_ > kMaxOpenCalls) {
      throw Error(ErrorCode::kResourceExhausted, fmt::format("over {} requests wait on this connection", kMaxOpenCalls));
    }
    if (!request.ParseFromString(frame.data)) {
      throw Error(ErrorCode::kInvalidArgument, "the ttrpc request is malformed");
    }
    handler_({request.service(), request.method(), std::move(*request.mutable_payload())}, responder);
  } catch (const Error& error) {
    responder.fail(error);
  } catch (const std::exception& error) {
    responder.fail(Error(ErrorCode::kInternal, fmt::format("{}: {}", request.method(), error.what())));
  }
}

void ServerConnection::send(uint32_t stream, std::string_view response) {
  --open_calls_;
  if (broken_) {
    return;
  }
  std::string frame;
  try {
    frame = encode_frame(stream, FrameType::kResponse, 0, response);
  } catch (const Error& error) {
    wire::Response failure;
    to_status(error, *failure.mutable_status());
    frame = encode_frame(stream, FrameType::kResponse, 0, failure.SerializeAsString());
  }
  if (out_.size() - sent_ + frame.size() > kMaxUnsent) {
    broken_ = true;  // said by the next on_readable or on_writable: answers must not throw into whoever gives them
    return;
  }
  out_ += frame;
  try {
    on_writable();
  } catch (const Error&) {
    broken_ = true;
  }
}

void ServerConnection::on_writable() {
  while (sent_ < out_.size()) {
    ssize_t count = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0 && errno == EAGAIN) {
      set_interest_(WriteInterest::kWanted);
      return;
    }
    if (count < 0) {
      throw system_error("send to a ttrpc peer");
    }
    sent_ += static_cast<size_t>(count);
  }
  bool waited = !out_.empty();
  out_.clear();
  sent_ = 0;
  if (waited) {
    set_interest_(WriteInterest::kNone);
  }
}

}  // namespace bulkhead::ttrpc
