#include "shim/attach_client.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace bulkhead::shim {

AttachClient::AttachClient(EventLoop& loop, UniqueFd socket, task::AttachHeader header, Framing framing, Events events)
    : loop_(loop), socket_(std::move(socket)), header_(std::move(header)), framing_(framing), events_(std::move(events)) {
  watch_ = loop_.watch(socket_.get(), wanted_events(), [this](uint32_t ready) { on_event(ready); });
}

uint32_t AttachClient::wanted_events() const {
  uint32_t wanted = queue_.empty() ? 0U : EPOLLOUT;
  // A client that sends no input is still read, to see its end and to throw away what it sends.
  bool reads = !input_ended_ && !finishing_ && (reads_input_ || !header_.in);
  return wanted | (reads ? EPOLLIN : 0U);
}

void AttachClient::on_event(uint32_t events) {
  if ((events & EPOLLIN) != 0) {
    read_input();
  }
  if (!gone_ && (events & EPOLLOUT) != 0) {
    settle(queue_.flush(socket_.get()));
  }
  // Both directions are closed: nobody is there. What it sent before that is still input.
  if (!gone_ && (events & (EPOLLHUP | EPOLLERR)) != 0 && (events & EPOLLIN) == 0) {
    hung_up_ = header_.in && !input_ended_ && !finishing_;
    if (hung_up_) {
      watch_.reset();  // EPOLLHUP can't be masked and would spin
      queue_.clear();
    } else {
      settle(SendQueue::Peer::kGone);
    }
  }
}

void AttachClient::read_input() {
  std::array<char, 16384> bytes;
  ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count < 0) {
    settle(SendQueue::Peer::kGone);
  } else if (count == 0) {
    input_ended_ = true;
    settle(hung_up_ ? SendQueue::Peer::kGone : SendQueue::Peer::kThere);
    if (header_.in) {
      events_.input_ended();
    }
  } else if (header_.in) {
    events_.input(std::string_view(bytes.data(), static_cast<size_t>(count)));
  }
}

void AttachClient::send(StreamKind stream, std::string_view bytes) {
  if (gone_ || hung_up_ || !(stream == StreamKind::kOut ? header_.out : header_.err)) {
    return;
  }
  if (framing_ == Framing::kRaw) {
    settle(queue_.send(socket_.get(), {}, bytes));
    return;
  }
  auto size = static_cast<uint32_t>(bytes.size());
  const char frame[8] = {static_cast<char>(stream),
                         0,
                         0,
                         0,
                         static_cast<char>(size >> 24),
                         static_cast<char>(size >> 16),
                         static_cast<char>(size >> 8),
                         static_cast<char>(size)};
  settle(queue_.send(socket_.get(), std::string_view(frame, sizeof(frame)), bytes));
}

void AttachClient::set_reads_input(bool reads) {
  reads_input_ = reads;
  if (hung_up_ && reads && !gone_ && !watch_.active()) {
    watch_ = loop_.watch(socket_.get(), EPOLLIN, [this](uint32_t ready) { on_event(ready); });
  } else if (hung_up_ && !reads) {
    watch_.reset();
  } else if (!gone_ && !hung_up_) {
    watch_.set_events(wanted_events());
  }
}

void AttachClient::finish() {
  finishing_ = true;
  settle(SendQueue::Peer::kThere);
}

void AttachClient::settle(SendQueue::Peer peer) {
  if (gone_) {
    return;
  }
  if (peer == SendQueue::Peer::kGone || (finishing_ && queue_.empty())) {
    leave();
  } else if (!hung_up_) {
    watch_.set_events(wanted_events());
  }
  events_.changed();
}

void AttachClient::leave() {
  gone_ = true;
  watch_.reset();
  socket_.reset();
  queue_.clear();
  if (header_.in && !input_ended_ && !finishing_) {
    input_ended_ = true;
    events_.input_ended();
  }
}

}  // namespace bulkhead::shim
