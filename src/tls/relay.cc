#include "tls/relay.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace bulkhead::tls {
namespace {

constexpr size_t kBufferSize = 16UL << 10;  // a TLS record
constexpr std::chrono::seconds kFlushTime{10};
using Clock = std::chrono::steady_clock;
using Io = Session::Io;

short events_of(Io io) { return io == Io::kWantsOutput ? POLLOUT : POLLIN; }

}  // namespace

/// Both directions. Each holds at most one buffer, and reads only when that is empty: a slow reader slows its writer down.
class Relay::Pump {
 public:
  Pump(Session& session, Relay& relay)
      : session_(session),
        relay_(relay),
        local_(relay.inner_.get()),
        finish_(relay.finish_.get()),
        in_buffer_(kBufferSize),
        out_buffer_(kBufferSize) {}

  void run() {
    while (!is_over()) {
      bool received = receive();
      bool sent = send();
      if (!received && !sent && !is_over() && !wait()) {
        break;
      }
    }
    // Whoever holds the other end sees that the connection is gone, and the peer the same.
    ::shutdown(local_, SHUT_RDWR);
    ::shutdown(session_.descriptor(), SHUT_RDWR);
  }

 private:
  bool is_over() const { return peer_gone_ || (writing_ended_ && ((peer_ended_ && told_local_) || local_gone_ || deadline_)); }

  /// From the peer to the socket. False where nothing moved.
  bool receive() {
    if (local_gone_ || told_local_) {
      return false;
    }
    if (in_.empty() && !peer_ended_) {
      Session::Result result = session_.read(in_buffer_.data(), in_buffer_.size());
      switch (result.io) {
        case Io::kDone: in_ = {in_buffer_.data(), result.count}; break;
        case Io::kEnded: peer_ended_ = true; break;
        case Io::kBroken: broken(); return true;
        default: read_events_ = events_of(result.io); return false;
      }
    }
    if (!in_.empty()) {
      ssize_t count = ::send(local_, in_.data(), in_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return errno == EINTR;
      }
      if (count < 0) {
        lose_local();
        return true;
      }
      in_.remove_prefix(static_cast<size_t>(count));
    }
    if (peer_ended_ && in_.empty()) {
      ::shutdown(local_, SHUT_WR);
      told_local_ = true;
    }
    return true;
  }

  void broken() {
    peer_gone_ = true;
    std::lock_guard lock(relay_.mutex_);
    relay_.failure_ = session_.failure();  // before the socket's holder sees the end
  }

  /// From the socket to the peer. False where nothing moved.
  bool send() {
    if (writing_ended_) {
      return false;
    }
    if (out_.empty() && !local_ended_) {
      ssize_t count = ::recv(local_, out_buffer_.data(), out_buffer_.size(), MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) {
        return true;
      }
      if (count < 0 && errno == EAGAIN && !deadline_) {
        return false;
      }
      // After `finish` what is there now is all there will be.
      local_ended_ = count <= 0;
      out_ = {out_buffer_.data(), static_cast<size_t>(count < 0 ? 0 : count)};
    }
    Session::Result result = out_.empty() ? Session::Result{session_.end_writing(), 0} : session_.write(out_);
    if (result.io == Io::kBroken || (result.io == Io::kDone && out_.empty())) {
      writing_ended_ = true;
      // What the peer sent before it went may still be read; nothing can be sent to it.
      ::shutdown(local_, SHUT_RD);
      return true;
    }
    out_.remove_prefix(result.count);
    write_events_ = events_of(result.io);
    return result.io == Io::kDone;
  }

  /// False where the time for the last bytes is over.
  bool wait() {
    bool reads_peer = in_.empty() && !peer_ended_ && !local_gone_;
    bool writes_peer = !writing_ended_ && (!out_.empty() || local_ended_);
    // A peer that said it sends no more and then closes its TCP connection reads no more either.
    auto peer_events =
        static_cast<short>((reads_peer ? read_events_ : 0) | (writes_peer ? write_events_ : 0) | (told_local_ ? POLLRDHUP : 0));
    auto local_events = static_cast<short>((in_.empty() ? 0 : POLLOUT) | (out_.empty() && !local_ended_ ? POLLIN : 0));
    // poll(2) reports POLLHUP whether asked or not: what nobody acts on must not be polled.
    std::array<pollfd, 3> polled = {{{peer_events == 0 ? -1 : session_.descriptor(), peer_events, 0},
                                     {local_gone_ ? -1 : local_, local_events, 0},
                                     {deadline_ ? -1 : finish_, POLLIN, 0}}};
    int count = ::poll(polled.data(), polled.size(), timeout());
    if (count == 0) {
      return false;
    }
    if (count < 0) {
      return errno == EINTR;
    }
    peer_gone_ = told_local_ && (polled[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    if ((polled[1].revents & POLLHUP) != 0) {
      lose_local();
    }
    if (polled[2].revents != 0) {
      hurry();
    }
    return true;
  }

  void lose_local() {
    local_gone_ = true;
    hurry();
  }
  void hurry() {
    if (!deadline_) {
      deadline_ = Clock::now() + kFlushTime;
    }
  }

  int timeout() const {
    if (!deadline_) {
      return -1;
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now()).count();
    return left < 0 ? 0 : static_cast<int>(left);
  }

  Session& session_;
  Relay& relay_;
  int local_, finish_;
  std::vector<char> in_buffer_, out_buffer_;
  std::string_view in_, out_;  // what of the buffers is still to be sent
  short read_events_ = POLLIN, write_events_ = POLLOUT;
  bool peer_ended_ = false, peer_gone_ = false;    // sends no more; is not there any more
  bool local_ended_ = false, local_gone_ = false;  // the same of whoever holds the socket
  bool told_local_ = false, writing_ended_ = false;
  std::optional<Clock::time_point> deadline_;  // for what is still to be sent
};

Relay::Relay(Session session) : finish_(::eventfd(0, EFD_CLOEXEC)) {
  std::array<int, 2> pair{};
  if (!finish_ || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    throw system_error("make a pair of sockets for a TLS connection");
  }
  outer_.reset(pair[0]);
  inner_.reset(pair[1]);
  // Signals are for the threads that wait for them: here one would be lost, or end the process.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  try {
    thread_ = std::thread([this, mine = std::make_shared<Session>(std::move(session))] { run(std::move(*mine)); });
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(ErrorCode::kResourceExhausted, std::string("start a thread for a TLS connection: ") + error.what());
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Relay::~Relay() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(finish_.get(), &one, sizeof(one));
  thread_.join();
}

void Relay::run(Session session) { Pump(session, *this).run(); }

std::string Relay::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace bulkhead::tls
