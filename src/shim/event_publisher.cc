#include "shim/event_publisher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>

#include "support/error.h"
#include "support/log.h"
#include "support/time.h"
#include "task/events.pb.h"
#include "task/protocol.h"
#include "ttrpc/client.h"
#include "ttrpc/frame.h"
#include "ttrpc/ttrpc.pb.h"

namespace bulkhead::shim {
namespace {

constexpr const char* kEventsService = "containerd.services.events.ttrpc.v1.Events";
constexpr size_t kMaxWaiting = 1000;

}  // namespace

EventPublisher::EventPublisher(EventLoop& loop, std::filesystem::path address, std::string name_space)
    : loop_(loop), address_(std::move(address)), name_space_(std::move(name_space)) {}

void EventPublisher::publish(const std::string& topic, const google::protobuf::MessageLite& event) {
  if (address_.empty()) {
    return;
  }
  containerd::events::ForwardRequest forward;
  auto* envelope = forward.mutable_envelope();
  task::to_timestamp(now(), *envelope->mutable_timestamp());
  envelope->set_namespace_(name_space_);
  envelope->set_topic(topic);
  envelope->mutable_event()->set_type_url(event.GetTypeName());
  envelope->mutable_event()->set_value(event.SerializeAsString());
  ttrpc::wire::Request request;
  request.set_service(kEventsService);
  request.set_method("Forward");
  request.set_payload(forward.SerializeAsString());
  auto* metadata = request.add_metadata();
  metadata->set_key("containerd-namespace-ttrpc");
  metadata->set_value(name_space_);
  waiting_.push_back(ttrpc::encode_frame(next_stream_, ttrpc::FrameType::kRequest, 0, request.SerializeAsString()));
  next_stream_ += 2;
  if (waiting_.size() > kMaxWaiting) {
    waiting_.pop_front();
  }
  connect_and_send();
}

void EventPublisher::connect_and_send() {
  if (!socket_) {
    try {
      socket_ = ttrpc::connect_unix(address_);
      if (::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) != 0) {
        throw system_error("make the connection to containerd non-blocking");
      }
    } catch (const Error& error) {
      socket_.reset();
      log::warn("events wait for containerd: {}", error.message());
      return;  // with the next event again
    }
    watch_ = loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t events) { on_event(events); });
  }
  while (!waiting_.empty()) {
    if (queue_.send(socket_.get(), {}, waiting_.front()) == SendQueue::Peer::kGone) {
      disconnect();
      return;
    }
    waiting_.pop_front();
    ++unanswered_;
  }
  watch_.set_events(queue_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void EventPublisher::on_event(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && queue_.flush(socket_.get()) == SendQueue::Peer::kGone) {
    disconnect();
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    // Answers say nothing that could be acted on; only their number matters, for `flush`.
    std::array<char, 4096> bytes;
    ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) {
      disconnect();
      return;
    }
    unanswered_ = 0;
  }
  watch_.set_events(queue_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void EventPublisher::disconnect() {
  watch_.reset();
  socket_.reset();
  queue_.clear();
  unanswered_ = 0;
}

void EventPublisher::flush() {
  constexpr int kPatience = 1000;  // milliseconds
  while (socket_ && (unanswered_ > 0 || !queue_.empty())) {
    pollfd wait{.fd = socket_.get(), .events = static_cast<short>(queue_.empty() ? POLLIN : POLLIN | POLLOUT), .revents = 0};
    if (::poll(&wait, 1, kPatience) <= 0) {
      return;
    }
    on_event(((wait.revents & POLLOUT) != 0 ? EPOLLOUT : 0U) | ((wait.revents & ~POLLOUT) != 0 ? EPOLLIN : 0U));
  }
}

}  // namespace bulkhead::shim
