#include "shim/output_stream.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>

#include "support/error.h"

namespace bulkhead::shim {
namespace {

constexpr size_t kChunk = 32UL << 10;    // half a pipe
constexpr size_t kMaxDrain = 1UL << 20;  // /proc/sys/fs/pipe-max-size: what one pipe may hold
std::array<char, kChunk> chunk;          // of the one thread; not on each stream, as a shim should stay small

}  // namespace

OutputStream::OutputStream(EventLoop& loop, StreamKind kind, UniqueFd fd, Receiver receiver)
    : loop_(loop), kind_(kind), fd_(std::move(fd)), receiver_(std::move(receiver)) {
  if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) {
    throw system_error("make a stream non-blocking");
  }
  watch_ = loop_.watch(fd_.get(), EPOLLIN, [this](uint32_t) { on_event(); });
}

OutputStream::Outcome OutputStream::read_chunk(size_t& count) {
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), chunk.data(), chunk.size());
  } while (got < 0 && errno == EINTR);
  count = got > 0 ? static_cast<size_t>(got) : 0;
  if (got < 0 && errno == EAGAIN) {
    return Outcome::kEmpty;
  }
  if (got <= 0) {  // EOF of a pipe; EIO of a terminal that nobody has open
    return Outcome::kEnded;
  }
  receiver_(kind_, std::string_view(chunk.data(), count));
  return Outcome::kMore;
}

void OutputStream::on_event() {
  size_t count = 0;
  if (read_chunk(count) == Outcome::kEnded) {
    watch_.reset();
    fd_.reset();
  }
}

void OutputStream::set_paused(bool paused) {
  if (!fd_ || paused != watch_.active()) {
    return;
  }
  if (paused) {
    // Not watched at all: EPOLLHUP, which can't be masked, would spin.
    watch_.reset();
  } else {
    watch_ = loop_.watch(fd_.get(), EPOLLIN, [this](uint32_t) { on_event(); });
  }
}

void OutputStream::drain_and_close() {
  size_t total = 0;
  size_t count = 0;
  while (fd_ && total < kMaxDrain && read_chunk(count) == Outcome::kMore) {
    total += count;
  }
  watch_.reset();
  fd_.reset();
}

}  // namespace bulkhead::shim
