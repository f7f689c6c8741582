#include "shim/send_queue.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace bulkhead::shim {

SendQueue::Peer SendQueue::send(int fd, std::string_view header, std::string_view bytes) {
  size_t sent = 0;
  if (empty()) {
    iovec parts[2] = {{const_cast<char*>(header.data()), header.size()}, {const_cast<char*>(bytes.data()), bytes.size()}};
    ssize_t count = 0;
    do {
      count = ::writev(fd, parts, 2);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno != EAGAIN) {
      return Peer::kGone;
    }
    sent = count < 0 ? 0 : static_cast<size_t>(count);
    if (sent == header.size() + bytes.size()) {
      return Peer::kThere;
    }
  }
  if (sent < header.size()) {
    kept_.append(header.substr(sent));
    sent = header.size();
  }
  kept_.append(bytes.substr(sent - header.size()));
  return Peer::kThere;
}

SendQueue::Peer SendQueue::flush(int fd) {
  while (!empty()) {
    ssize_t count = ::write(fd, kept_.data() + sent_, size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return errno == EAGAIN ? Peer::kThere : Peer::kGone;
    }
    sent_ += static_cast<size_t>(count);
  }
  clear();
  return Peer::kThere;
}

void SendQueue::clear() {
  std::string().swap(kept_);  // a megabyte that a slow reader once needed isn't held for ever
  sent_ = 0;
}

}  // namespace bulkhead::shim
