#include "agent/protocol/server.h"

#include <utility>

#include "agent/protocol/protocol.h"
#include "ttrpc/status.h"
#include "ttrpc/ttrpc.pb.h"

namespace bulkhead::agent {

struct Reply::State {
  Server& server;
  uint32_t stream;
  bool given = false;

  void give(const ttrpc::wire::Response& response) {
    if (!std::exchange(given, true)) {
      server.channel_.send(ttrpc::encode_frame(stream, ttrpc::FrameType::kResponse, 0, response.SerializeAsString()));
    }
  }
};

Reply::Reply(Server& server, uint32_t stream) : state_(std::make_shared<State>(State{.server = server, .stream = stream})) {}

void Reply::succeed(const google::protobuf::MessageLite& message) const {
  ttrpc::wire::Response response;
  response.set_payload(message.SerializeAsString());
  state_->give(response);
}

void Reply::succeed() const { state_->give({}); }

void Reply::fail(const Error& error) const {
  ttrpc::wire::Response response;
  ttrpc::to_status(error, *response.mutable_status());
  state_->give(response);
}

Server::Server(EventLoop& loop, UniqueFd stream, Handler handler, std::function<void(const Error&)> on_lost)
    : handler_(std::move(handler)),
      channel_(
          loop, std::move(stream), [this](const ttrpc::Frame& frame) { on_frame(frame); }, std::move(on_lost)) {}

void Server::on_frame(const ttrpc::Frame& frame) {
  Reply reply(*this, frame.stream);
  ttrpc::wire::Request request;
  if (frame.type != ttrpc::FrameType::kRequest || !request.ParseFromString(frame.data) || request.service() != kService) {
    throw Error(ErrorCode::kDataLoss, "a frame from the host is no request to this service");
  }
  try {
    handler_(request.method(), request.payload(), reply);
  } catch (const Error& error) {
    reply.fail(error);
  } catch (const std::exception& error) {
    reply.fail(Error(ErrorCode::kInternal, request.method() + ": " + error.what()));
  }
}

}  // namespace bulkhead::agent
