#include "agent/protocol/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace bulkhead::agent {

Channel::Channel(EventLoop& loop, UniqueFd stream, FrameHandler on_frame, LossHandler on_lost)
    : loop_(loop), stream_(std::move(stream)), on_frame_(std::move(on_frame)), on_lost_(std::move(on_lost)) {
  int flags = ::fcntl(stream_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(stream_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error("make the agent's channel non-blocking");
  }
  watch_ = loop_.watch(stream_.get(), POLLIN, [this](short events) { on_events(events); });
}

void Channel::on_events(short events) {
  try {
    if ((events & POLLOUT) != 0) {
      write_some();
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
      read_some();
    }
  } catch (const Error& error) {
    lose(error);
  }
}

void Channel::read_some() {
  std::array<char, 65536> bytes;
  ssize_t count = ::read(stream_.get(), bytes.data(), bytes.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count < 0) {
    throw system_error("read from the agent's channel");
  }
  if (count == 0) {
    throw Error(ErrorCode::kUnavailable, "the other side of the agent's channel is gone");
  }
  reader_.feed(std::string_view(bytes.data(), static_cast<size_t>(count)));
  while (!lost_) {
    auto frame = reader_.next();
    if (!frame) {
      break;
    }
    on_frame_(std::move(*frame));
  }
}

void Channel::send(std::string_view frame) {
  if (lost_) {
    return;
  }
  out_ += frame;
  try {
    write_some();
  } catch (const Error& error) {
    // Not from inside the caller: the loop tells.
    loop_.post([this, error] { lose(error); });
  }
}

void Channel::write_some() {
  while (sent_ < out_.size()) {
    ssize_t count = ::write(stream_.get(), out_.data() + sent_, out_.size() - sent_);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0 && errno == EAGAIN) {
      watch_.set_events(POLLIN | POLLOUT);
      return;
    }
    if (count < 0) {
      throw system_error("write to the agent's channel");
    }
    sent_ += static_cast<size_t>(count);
  }
  out_.clear();
  sent_ = 0;
  watch_.set_events(POLLIN);
}

UniqueFd Channel::release() {
  if (lost_ || unsent() > 0 || reader_.buffered() > 0) {
    throw Error(ErrorCode::kConflict, "the agent's channel is busy or lost");
  }
  lost_ = true;
  watch_.reset();
  return std::move(stream_);
}

void Channel::lose(const Error& error) {
  if (!lost_) {
    lost_ = true;
    watch_.reset();
    on_lost_(error);
  }
}

}  // namespace bulkhead::agent
