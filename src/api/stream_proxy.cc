#include "api/stream_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "api/detach_keys.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

constexpr size_t kBufferSize = 32UL << 10;

/// One direction: reads from `from` only while nothing waits to be written to `to`, so a slow reader slows its writer down.
class Direction {
 public:
  Direction(int from, int to) : from_(from), to_(to) {}

  bool wants_input() const { return !ended_ && waiting_.empty(); }
  bool wants_output() const { return !waiting_.empty(); }
  bool is_finished() const { return ended_ && waiting_.empty(); }
  void end() { ended_ = true; }

  /// The bytes that are there now; empty where there are none, or at the end (then `is_finished`).
  std::string_view receive(std::array<char, kBufferSize>& buffer) {
    ssize_t count = ::recv(from_, buffer.data(), buffer.size(), 0);
    if (count > 0) {
      return {buffer.data(), static_cast<size_t>(count)};
    }
    ended_ = count == 0 || (errno != EAGAIN && errno != EINTR);
    return {};
  }

  /// Sends what it can, keeps the rest. False where the reader is gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::send(to_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0 && errno != EAGAIN) {
        return false;
      }
      if (count < 0) {
        break;
      }
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    waiting_.append(bytes);
    return true;
  }
  bool send_waiting() { return send(std::exchange(waiting_, {})); }

 private:
  int from_, to_;
  bool ended_ = false;
  std::string waiting_;
};

class Proxy {
 public:
  Proxy(const http::Exchange::Raw& client, int stop_descriptor, int stream, const ProxyOptions& options)
      : client_(client.descriptor),
        stream_(stream),
        stop_descriptor_(stop_descriptor),
        options_(options),
        scanner_(options.detach_keys.value_or("")),
        input_(client.descriptor, stream),
        output_(stream, client.descriptor),
        detached_(!take_input(client.early)) {}

  ProxyEnd run() {
    while (!detached_) {
      // poll(2) reports POLLHUP whether asked or not: a stream that has ended while the client is slow to read must not spin.
      short stream_events = events(output_, input_);
      std::array<pollfd, 3> polled = {{{client_, events(input_, output_), 0},
                                       {stream_events == 0 ? -1 : stream_, stream_events, 0},
                                       {stop_descriptor_, POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), -1) < 0) {
        if (errno == EINTR) {
          continue;
        }
        throw system_error("wait for a container's streams");
      }
      if (polled[2].revents != 0) {
        return ProxyEnd::kStopping;
      }
      if (!move_output(polled[1].revents, polled[0].revents)) {
        return ProxyEnd::kClientGone;
      }
      if (output_.is_finished()) {
        return ProxyEnd::kStreamEnded;
      }
      move_input(polled[0].revents, polled[1].revents);
      if ((polled[0].revents & (POLLHUP | POLLERR)) != 0 && (polled[0].revents & POLLIN) == 0) {
        return ProxyEnd::kClientGone;
      }
    }
    return ProxyEnd::kDetached;
  }

 private:
  static short events(const Direction& reading, const Direction& writing) {
    return static_cast<short>((reading.wants_input() ? POLLIN : 0) | (writing.wants_output() ? POLLOUT : 0));
  }

  bool move_output(short from_stream, short from_client) {
    if ((from_client & POLLOUT) != 0 && !output_.send_waiting()) {
      return false;
    }
    if (output_.wants_input() && (from_stream & (POLLIN | POLLHUP | POLLERR)) != 0) {
      std::string_view bytes = output_.receive(buffer_);
      return bytes.empty() || output_.send(bytes);
    }
    return true;
  }

  void move_input(short from_client, short from_stream) {
    if ((from_stream & POLLOUT) != 0 && !input_.send_waiting()) {
      input_.end();  // the process has closed its standard input: the rest of it is nobody's
    }
    if (input_.wants_input() && (from_client & POLLIN) != 0) {
      detached_ = !take_input(input_.receive(buffer_));
    }
    if (input_.is_finished() && !passed_end_) {
      passed_end_ = true;
      if (options_.send_input) {
        ::shutdown(stream_, SHUT_WR);
      }
    }
  }

  /// False where the detach keys were among it.
  bool take_input(std::string_view bytes) {
    if (bytes.empty() || !options_.send_input) {
      return true;
    }
    if (!options_.detach_keys) {
      if (!input_.send(bytes)) {
        input_.end();
      }
      return true;
    }
    std::string typed;
    bool detached = scanner_.scan(bytes, typed);
    if (!input_.send(typed)) {
      input_.end();
    }
    return !detached;
  }

  int client_, stream_, stop_descriptor_;
  const ProxyOptions& options_;
  DetachScanner scanner_;
  Direction input_, output_;
  bool passed_end_ = false;
  std::array<char, kBufferSize> buffer_{};
  bool detached_;
};

}  // namespace

ProxyEnd proxy(const http::Exchange::Raw& client, int stop_descriptor, const UniqueFd& stream, const ProxyOptions& options) {
  int flags = ::fcntl(stream.get(), F_GETFL);
  if (flags < 0 || ::fcntl(stream.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error("make a container's stream non-blocking");
  }
  return Proxy(client, stop_descriptor, stream.get(), options).run();
}

bool wait_ready(int ready, int client, int stop_descriptor) {
  // A client that has no input closes its sending side at once, so only a connection closed in both directions counts.
  std::array<pollfd, 3> polled = {{{ready, POLLIN, 0}, {client, 0, 0}, {stop_descriptor, POLLIN, 0}}};
  for (;;) {
    int count = ::poll(polled.data(), polled.size(), -1);
    if (count < 0 && errno != EINTR) {
      throw system_error("wait for a container to start");
    }
    if (count > 0) {
      return polled[0].revents != 0;
    }
  }
}

}  // namespace bulkhead::api
