#include "http/server_connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>

namespace bulkhead::http {
namespace {

int milliseconds_until(Deadline deadline) {
  if (!deadline) {
    return -1;
  }
  auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

Error gone() { return {ErrorCode::kUnavailable, "the client has closed the connection"}; }

/// Takes `count` written bytes off the front of the parts.
void advance(std::array<iovec, 3>& parts, size_t count) {
  for (iovec& part : parts) {
    size_t taken = std::min(count, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    count -= taken;
  }
}

iovec part_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

Deadline after(std::chrono::milliseconds duration) { return Clock::now() + duration; }

ServerConnection::ServerConnection(UniqueFd socket, Peer peer, int stop_descriptor, std::string tls_name)
    : socket_(std::move(socket)), peer_(peer), stop_descriptor_(stop_descriptor) {
  // SECURITY: a name is the word of a certificate, and only a TLS peer has shown one.
  if (peer == Peer::kTls) {
    tls_name_ = std::move(tls_name);
  }
  int flags = ::fcntl(socket_.get(), F_GETFL);
  if (flags < 0 || ((flags & O_NONBLOCK) == 0 && ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) != 0)) {
    throw system_error("make a connection non-blocking");
  }
}

int ServerConnection::milliseconds_to_wait(Deadline deadline) const {
  return !deadline && patience_.idle ? static_cast<int>(patience_.idle->count()) : milliseconds_until(deadline);
}

ServerConnection::Readiness ServerConnection::wait_readable(Deadline deadline) {
  int interrupt = deadline ? -1 : patience_.interrupt;
  std::array<pollfd, 3> polled = {{{socket_.get(), POLLIN, 0}, {stop_descriptor_, POLLIN, 0}, {interrupt, POLLIN, 0}}};
  for (;;) {
    int count = ::poll(polled.data(), polled.size(), milliseconds_to_wait(deadline));
    if (count < 0 && errno != EINTR) {
      throw system_error("wait for a client");
    }
    if (count == 0) {
      return Readiness::kTimedOut;
    }
    if (count > 0) {
      // What has arrived is served before the server stops.
      return polled[0].revents != 0   ? Readiness::kReadable
             : polled[1].revents != 0 ? Readiness::kStopping
                                      : Readiness::kBrokenOff;
    }
  }
}

size_t ServerConnection::receive(char* buffer, size_t size, Deadline deadline) {
  for (;;) {
    ssize_t count = ::recv(socket_.get(), buffer, size, 0);
    if (count >= 0) {
      return static_cast<size_t>(count);
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN) {
      throw gone();
    }
    switch (wait_readable(deadline)) {
      case Readiness::kReadable: break;
      case Readiness::kTimedOut: throw StatusError(408, "the request was not complete in time");
      case Readiness::kStopping: throw Error(ErrorCode::kUnavailable, "the engine is stopping");
      case Readiness::kBrokenOff: throw Error(ErrorCode::kUnavailable, "the request was broken off");
    }
  }
}

void ServerConnection::send(std::string_view first, std::string_view second, std::string_view third, Deadline deadline) {
  std::array<iovec, 3> parts = {part_of(first), part_of(second), part_of(third)};
  size_t left = first.size() + second.size() + third.size();
  while (left > 0) {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (count >= 0) {
      advance(parts, static_cast<size_t>(count));
      left -= static_cast<size_t>(count);
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN) {
      throw gone();
    }
    int interrupt = deadline ? -1 : patience_.interrupt;
    std::array<pollfd, 3> polled = {{{socket_.get(), POLLOUT, 0}, {stop_descriptor_, POLLIN, 0}, {interrupt, POLLIN, 0}}};
    int ready = ::poll(polled.data(), polled.size(), milliseconds_to_wait(deadline));
    if (ready == 0 || (ready > 0 && polled[0].revents == 0)) {
      throw Error(ErrorCode::kUnavailable, "the client does not read its answer");
    }
  }
}

std::optional<PeerCredentials> ServerConnection::credentials() const {
  ucred found{};
  socklen_t size = sizeof(found);
  // SECURITY: the socket of a TLS peer is one of a pair of our own, whose credentials are the engine's: root.
  if (peer_ != Peer::kUnix || ::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &found, &size) != 0) {
    return std::nullopt;
  }
  return PeerCredentials{.uid = found.uid, .pid = found.pid};
}

bool ServerConnection::is_gone() const {
  pollfd polled{socket_.get(), POLLRDHUP, 0};
  return ::poll(&polled, 1, 0) > 0 && (polled.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool ServerConnection::is_stopping() const {
  pollfd polled{stop_descriptor_, POLLIN, 0};
  return ::poll(&polled, 1, 0) > 0;
}

void ServerConnection::linger(std::chrono::milliseconds limit) {
  ::shutdown(socket_.get(), SHUT_WR);
  std::array<char, 16384> discarded{};
  constexpr size_t kMostBytes = 16UL << 20;  // what may be on its way; who sends more doesn't listen
  Deadline deadline = after(limit);
  try {
    size_t total = 0;
    while (size_t count = receive(discarded.data(), discarded.size(), deadline)) {
      total += count;
      if (total > kMostBytes || Clock::now() > *deadline) {
        return;
      }
    }
  } catch (const Error&) {
    // The client has gone, or goes on sending: either way this is the end.
  }
}

}  // namespace bulkhead::http
