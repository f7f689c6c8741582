#include "agent/protocol/caller.h"

#include <fmt/format.h>

#include <utility>

#include "agent/protocol/protocol.h"
#include "ttrpc/status.h"
#include "ttrpc/ttrpc.pb.h"

namespace bulkhead::agent {
namespace {

// SECURITY: an error's text goes into logs and to clients.
constexpr size_t kMaxErrorText = 4096;

Error bounded(const Error& error) {
  std::string text = error.message().substr(0, kMaxErrorText);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      c = '?';  // nothing that a terminal would act on
    }
  }
  return {error.code(), std::move(text)};
}

}  // namespace

void Answer::get(google::protobuf::MessageLite& response) const {
  if (error) {
    throw *error;
  }
  if (!response.ParseFromString(payload)) {
    throw Error(ErrorCode::kDataLoss, "the agent's answer is malformed");
  }
}

Caller::Caller(EventLoop& loop, UniqueFd stream, std::function<void(const Error&)> on_lost)
    : loop_(loop),
      on_lost_(std::move(on_lost)),
      channel_(
          loop, std::move(stream), [this](const ttrpc::Frame& frame) { on_frame(frame); },
          [this](const Error& error) {
            close(error);
            on_lost_(error);
          }) {}

void Caller::call(const char* method, const google::protobuf::MessageLite& request, AnswerHandler on_answer) {
  if (lost_) {
    loop_.post([on_answer = std::move(on_answer), error = *lost_] { on_answer({.payload = {}, .error = error}); });
    return;
  }
  ttrpc::wire::Request message;
  message.set_service(kService);
  message.set_method(method);
  message.set_payload(request.SerializeAsString());
  uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  std::string frame = ttrpc::encode_frame(stream, ttrpc::FrameType::kRequest, 0, message.SerializeAsString());
  waiting_.emplace(stream, std::move(on_answer));
  channel_.send(frame);
}

void Caller::on_frame(const ttrpc::Frame& frame) {
  if (frame.type != ttrpc::FrameType::kResponse) {
    throw Error(ErrorCode::kDataLoss, "the agent sent a frame that is no answer");
  }
  if (frame.data.size() > kMaxAnswer) {
    throw Error(ErrorCode::kDataLoss, fmt::format("the agent sent an answer of {} bytes", frame.data.size()));
  }
  auto waiting = waiting_.extract(frame.stream);
  if (!waiting) {
    throw Error(ErrorCode::kDataLoss, "the agent answered what was not asked");
  }
  ttrpc::wire::Response response;
  if (!response.ParseFromString(frame.data)) {
    throw Error(ErrorCode::kDataLoss, "the agent's answer is malformed");
  }
  Answer answer;
  if (response.status().code() != 0) {
    answer.error = bounded(ttrpc::from_status(response.status()));
  } else {
    answer.payload = std::move(*response.mutable_payload());
  }
  waiting.mapped()(std::move(answer));
}

UniqueFd Caller::release() {
  if (!waiting_.empty()) {
    throw Error(ErrorCode::kConflict, "the agent owes an answer");
  }
  UniqueFd stream = channel_.release();
  lost_ = Error(ErrorCode::kUnavailable, "the agent's channel was given away");
  return stream;
}

void Caller::close(const Error& error) {
  if (lost_) {
    return;
  }
  lost_ = error;
  for (auto& [stream, handler] : std::exchange(waiting_, {})) {
    handler({.payload = {}, .error = error});
  }
}

}  // namespace bulkhead::agent
