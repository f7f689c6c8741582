#include "cli/stream_pump.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

constexpr size_t kBufferSize = 65536;

// poll(2) promises that a writable pipe takes PIPE_BUF bytes at once, and nothing about more. A standard stream can't be made
// non-blocking: it is shared with the shell that started us.
size_t safe_piece(int fd) {
  struct stat status {};
  bool file = fd >= 0 && fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISCHR(status.st_mode));
  return file ? kBufferSize : PIPE_BUF;
}

}  // namespace

StreamPump::StreamPump(http::Upgraded stream, Wiring wiring, DetachWatcher detach)
    : stream_(std::move(stream)),
      wiring_(wiring),
      detach_(std::move(detach)),
      out_{wiring.out, "", safe_piece(wiring.out)},
      err_{wiring.err, "", safe_piece(wiring.err)},
      frames_([this](http::StreamType type, std::string_view bytes) {
        Output& output = type == http::StreamType::kErr ? err_ : out_;
        if (output.fd >= 0) {
          output.waiting.append(bytes);
        }
      }),
      buffer_(kBufferSize, '\0'),
      input_open_(wiring.in >= 0) {}

void StreamPump::run(SignalSource& signals, const OnSignal& on_signal) {
  accept(std::exchange(stream_.received, ""));
  while (stream_open_ || !out_.waiting.empty() || !err_.waiting.empty()) {
    // More is read only when what was read is written: the memory stays bounded, the container feels the back-pressure.
    bool drained = out_.waiting.empty() && err_.waiting.empty();
    bool sending = stream_open_ && !to_send_.empty();
    bool reading = stream_open_ && input_open_ && to_send_.empty();
    auto events = static_cast<short>((stream_open_ && drained ? POLLIN : 0) | (sending ? POLLOUT : 0));
    std::array<pollfd, 5> entries = {{
        {.fd = signals.descriptor(), .events = POLLIN, .revents = 0},
        {.fd = events != 0 ? stream_.socket.get() : -1, .events = events, .revents = 0},
        {.fd = reading ? wiring_.in : -1, .events = POLLIN, .revents = 0},
        {.fd = out_.waiting.empty() ? -1 : out_.fd, .events = POLLOUT, .revents = 0},
        {.fd = err_.waiting.empty() ? -1 : err_.fd, .events = POLLOUT, .revents = 0},
    }};
    if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
      throw system_error("poll");
    }
    if (entries[0].revents != 0) {
      for (std::optional<int> number = signals.take(); number; number = signals.take()) {
        if (on_signal(*number) == Then::kStop) {
          return;
        }
      }
    }
    if (entries[3].revents != 0) {
      write_output(out_);
    }
    if (entries[4].revents != 0) {
      write_output(err_);
    }
    if (sending && (entries[1].revents & (POLLOUT | POLLHUP | POLLERR)) != 0) {
      send_input();
    }
    if (drained && (entries[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
      receive();
    }
    if (entries[2].revents != 0) {
      read_input();
    }
  }
}

void StreamPump::receive() {
  ssize_t count = recv(stream_.socket.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count <= 0) {
    // The engine may reset the connection where input was left unread: the end, all the same.
    stream_open_ = false;
    return;
  }
  accept(std::string_view(buffer_).substr(0, static_cast<size_t>(count)));
}

void StreamPump::accept(std::string_view bytes) {
  if (wiring_.format == StreamFormat::kFrames) {
    frames_.feed(bytes);
  } else if (out_.fd >= 0) {
    out_.waiting.append(bytes);
  }
}

void StreamPump::write_output(Output& output) {
  ssize_t count = write(output.fd, output.waiting.data(), std::min(output.piece, output.waiting.size()));
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
    return;
  }
  if (count < 0) {
    throw system_error(output.fd == STDERR_FILENO ? "write to standard error" : "write to standard output");
  }
  output.waiting.erase(0, static_cast<size_t>(count));
}

void StreamPump::read_input() {
  ssize_t count = read(wiring_.in, buffer_.data(), buffer_.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
    return;
  }
  if (count <= 0) {
    input_open_ = false;
    end_input();
    return;
  }
  to_send_.assign(buffer_, 0, static_cast<size_t>(count));
  send_input();
}

void StreamPump::send_input() {
  ssize_t count = send(stream_.socket.get(), to_send_.data(), to_send_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count < 0) {
    // The container reads no more; its output may still come.
    input_open_ = false;
    to_send_.clear();
    return;
  }
  detach_.feed(std::string_view(to_send_).substr(0, static_cast<size_t>(count)));
  to_send_.erase(0, static_cast<size_t>(count));
  end_input();
}

void StreamPump::end_input() {
  if (!input_open_ && to_send_.empty() && !std::exchange(input_ended_, true)) {
    shutdown(stream_.socket.get(), SHUT_WR);
  }
}

}  // namespace bulkhead::cli
