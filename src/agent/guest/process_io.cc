#include "agent/guest/process_io.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "support/error.h"

namespace bulkhead::agent {
namespace {

void make_non_blocking(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error("make a stream non-blocking");
  }
}

}  // namespace

OutputStream::OutputStream(EventLoop& loop, UniqueFd fd) : fd_(std::move(fd)) {
  make_non_blocking(fd_.get());
  watch_ = loop.watch(fd_.get(), 0, [this](short) {
    if (try_answer()) {
      watch_.set_events(0);
    }
  });
}

void OutputStream::read(const Reply& reply) {
  if (waiting_) {
    throw Error(ErrorCode::kConflict, "this stream is being read");
  }
  waiting_ = reply;
  if (ended_) {
    std::exchange(waiting_, std::nullopt)->succeed(wire::ReadResponse());
  } else if (!try_answer()) {
    watch_.set_events(POLLIN);
  }
}

bool OutputStream::try_answer() {
  std::array<char, kMaxChunk> bytes;
  ssize_t count = ::read(fd_.get(), bytes.data(), bytes.size());
  // EIO: a terminal that nobody holds open.
  if (count < 0 && (errno == EAGAIN || errno == EINTR) && !draining_) {
    return false;
  }
  wire::ReadResponse response;
  if (count > 0) {
    response.set_data(bytes.data(), static_cast<size_t>(count));
  } else {
    ended_ = true;
  }
  std::exchange(waiting_, std::nullopt)->succeed(response);
  return true;
}

void OutputStream::process_ended() {
  draining_ = true;
  if (waiting_ && try_answer()) {
    watch_.set_events(0);
  }
}

void OutputStream::give_up() {
  if (waiting_) {
    std::exchange(waiting_, std::nullopt)->succeed(wire::ReadResponse());
  }
}

InputStream::InputStream(EventLoop& loop, UniqueFd fd, AtEnd at_end) : fd_(std::move(fd)), at_end_(at_end) {
  make_non_blocking(fd_.get());
  watch_ = loop.watch(fd_.get(), 0, [this](short) { push(); });
}

void InputStream::write(std::string data, bool end, const Reply& reply) {
  if (waiting_) {
    throw Error(ErrorCode::kConflict, "this stream is being written");
  }
  waiting_ = reply;
  data_ = std::move(data);
  written_ = 0;
  end_ = end;
  push();
}

void InputStream::push() {
  while (fd_ && written_ < data_.size()) {
    ssize_t count = ::write(fd_.get(), data_.data() + written_, data_.size() - written_);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0 && errno == EAGAIN) {
      watch_.set_events(POLLOUT);
      return;
    }
    if (count < 0) {  // EPIPE, EIO: the process reads no more
      break;
    }
    written_ += static_cast<size_t>(count);
  }
  finish();
}

void InputStream::finish() {
  if (fd_) {
    watch_.set_events(0);
  }
  if (end_ && at_end_ == AtEnd::kClose) {
    watch_.reset();
    fd_.reset();
  }
  if (waiting_) {
    std::exchange(waiting_, std::nullopt)->succeed();
  }
}

}  // namespace bulkhead::agent
