#include "ttrpc/client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>

#include "support/error.h"
#include "ttrpc/frame.h"
#include "ttrpc/status.h"
#include "ttrpc/ttrpc.pb.h"
#include "ttrpc/unix_address.h"

namespace bulkhead::ttrpc {
namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;

int poll_timeout(const Deadline& deadline) {
  if (!deadline) {
    return -1;
  }
  auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

}  // namespace

struct Client::State {
  UniqueFd socket;
  std::mutex send_mutex;  // held while one frame is sent; never taken with `mutex` held

  std::mutex mutex;  // all below
  std::condition_variable changed;
  bool reading = false;  // some caller is in `read_some`, without the mutex
  std::optional<Error> broken;
  uint32_t next_stream = 1;
  std::map<uint32_t, std::optional<std::string>> calls;  // stream -> answer, once it is there

  FrameReader reader;  // of the caller that has `reading`

  void send(std::string_view frame, const Deadline& deadline);
  void read_some(const Deadline& deadline);
  std::string await(uint32_t stream, const Deadline& deadline, const std::string& method);
};

Client::Client(UniqueFd socket) : state_(std::make_unique<State>()) { state_->socket = std::move(socket); }
Client::~Client() = default;

void Client::State::send(std::string_view frame, const Deadline& deadline) {
  std::lock_guard lock(send_mutex);
  bool partly = false;
  while (!frame.empty()) {
    ssize_t count = ::send(socket.get(), frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      partly = true;
      frame.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN) {
      throw Error(ErrorCode::kUnavailable, system_error("send to the server").message());
    }
    pollfd wait{.fd = socket.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&wait, 1, poll_timeout(deadline)) == 0) {
      if (partly) {
        ::shutdown(socket.get(), SHUT_RDWR);  // half a frame was sent: nothing after it could be understood
      }
      throw Error(ErrorCode::kDeadlineExceeded, "the server doesn't take the request");
    }
  }
}

void Client::State::read_some(const Deadline& deadline) {
  pollfd wait{.fd = socket.get(), .events = POLLIN, .revents = 0};
  int ready = ::poll(&wait, 1, poll_timeout(deadline));
  if (ready == 0 || (ready < 0 && errno == EINTR)) {
    return;
  }
  std::array<char, 16384> bytes;
  ssize_t count = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count <= 0) {
    throw Error(ErrorCode::kUnavailable, count == 0 ? std::string("the server closed the connection")
                                                    : system_error("receive from the server").message());
  }
  reader.feed(std::string_view(bytes.data(), static_cast<size_t>(count)));
  while (auto frame = reader.next()) {
    std::lock_guard lock(mutex);
    // An answer that nobody awaits any more (its caller's deadline passed) is dropped.
    if (auto call = calls.find(frame->stream); call != calls.end() && frame->type == FrameType::kResponse) {
      call->second = std::move(frame->data);
    }
  }
}

std::string Client::State::await(uint32_t stream, const Deadline& deadline, const std::string& method) {
  std::unique_lock lock(mutex);
  for (;;) {
    auto call = calls.find(stream);
    if (call->second) {
      std::string answer = std::move(*call->second);
      calls.erase(call);
      return answer;
    }
    if (broken) {
      calls.erase(call);
      throw *broken;
    }
    if (deadline && Clock::now() >= *deadline) {
      calls.erase(call);
      throw Error(ErrorCode::kDeadlineExceeded, fmt::format("no answer to '{}' in time", method));
    }
    if (reading) {
      if (deadline) {
        changed.wait_until(lock, *deadline);
      } else {
        changed.wait(lock);
      }
      continue;
    }
    reading = true;
    lock.unlock();
    std::optional<Error> failure;
    try {
      read_some(deadline);
    } catch (const Error& error) {
      failure = error;
    }
    lock.lock();
    reading = false;
    if (failure) {
      broken = failure;
    }
    changed.notify_all();
  }
}

void Client::call(const std::string& service, const std::string& method, const google::protobuf::MessageLite& request,
                  google::protobuf::MessageLite& response, std::optional<std::chrono::milliseconds> timeout) {
  Deadline deadline;
  wire::Request message;
  if (timeout) {
    deadline = Clock::now() + *timeout;
    message.set_timeout_nano(std::chrono::nanoseconds(*timeout).count());
  }
  message.set_service(service);
  message.set_method(method);
  message.set_payload(request.SerializeAsString());
  std::string data = message.SerializeAsString();
  uint32_t stream = 0;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->broken) {
      throw *state_->broken;
    }
    stream = state_->next_stream;
    state_->next_stream += 2;
    state_->calls.emplace(stream, std::nullopt);
  }
  try {
    state_->send(encode_frame(stream, FrameType::kRequest, 0, data), deadline);
  } catch (const Error&) {
    std::lock_guard lock(state_->mutex);
    state_->calls.erase(stream);
    throw;
  }
  wire::Response answer;
  if (!answer.ParseFromString(state_->await(stream, deadline, method)) ||
      (answer.status().code() == 0 && !response.ParseFromString(answer.payload()))) {
    throw Error(ErrorCode::kDataLoss, fmt::format("the answer to '{}' is malformed", method));
  }
  if (answer.status().code() != 0) {
    throw from_status(answer.status());
  }
}

UniqueFd connect_unix(const std::filesystem::path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) {
    throw system_error("make a unix socket");
  }
  UnixAddress address(path);
  if (::connect(socket.get(), address.get(), address.size()) != 0) {
    throw system_error(fmt::format("connect to '{}'", path.native()));
  }
  return socket;
}

}  // namespace bulkhead::ttrpc
