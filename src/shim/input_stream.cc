#include "shim/input_stream.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "support/error.h"

namespace bulkhead::shim {

InputStream::InputStream(EventLoop& loop, UniqueFd fd, std::function<void()> on_change)
    : loop_(loop), fd_(std::move(fd)), on_change_(std::move(on_change)) {
  if (::fcntl(fd_.get(), F_SETFL, O_NONBLOCK) != 0) {
    throw system_error("make standard input non-blocking");
  }
}

void InputStream::write(std::string_view bytes) {
  if (open()) {
    settle(queue_.send(fd_.get(), {}, bytes));
  }
}

void InputStream::close_when_written() {
  if (open()) {
    closing_ = true;
    settle(SendQueue::Peer::kThere);
  }
}

void InputStream::close() {
  watch_.reset();
  fd_.reset();
  queue_.clear();
}

void InputStream::settle(SendQueue::Peer peer) {
  if (peer == SendQueue::Peer::kGone || (closing_ && queue_.empty())) {
    close();
  } else if (queue_.empty()) {
    watch_.reset();
  } else if (!watch_.active()) {
    watch_ = loop_.watch(fd_.get(), EPOLLOUT, [this](uint32_t) { settle(queue_.flush(fd_.get())); });
  }
  on_change_();
}

}  // namespace bulkhead::shim
