#include "shim/event_loop.h"

#include <sys/epoll.h>

#include <array>

#include "support/error.h"
#include "support/log.h"

namespace bulkhead::shim {

Watch::Watch(Watch&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)), fd_(other.fd_), key_(other.key_) {}

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    reset();
    loop_ = std::exchange(other.loop_, nullptr);
    fd_ = other.fd_;
    key_ = other.key_;
  }
  return *this;
}

void Watch::set_events(uint32_t events) {
  auto found = loop_->entries_.find(key_);
  if (found == loop_->entries_.end() || found->second->events == events) {
    return;
  }
  epoll_event event{.events = events, .data = {.u64 = key_}};
  if (::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_MOD, fd_, &event) != 0) {
    throw system_error("change what is watched on a descriptor");
  }
  found->second->events = events;
}

void Watch::reset() {
  if (loop_ == nullptr) {
    return;
  }
  if (loop_->entries_.erase(key_) > 0) {
    ::epoll_ctl(loop_->epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  }
  loop_ = nullptr;
}

EventLoop::EventLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) {
    throw system_error("make an epoll instance");
  }
}

Watch EventLoop::watch(int fd, uint32_t events, Callback callback) {
  uint64_t key = next_key_++;
  epoll_event event{.events = events, .data = {.u64 = key}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw system_error("watch a descriptor");
  }
  entries_.emplace(key, std::make_shared<Entry>(Entry{std::move(callback), events, fd}));
  return {*this, fd, key};
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> tasks;
  tasks.swap(posted_);
  for (auto& task : tasks) {
    try {
      task();
    } catch (const std::exception& error) {
      log::error("a deferred task failed: {}", error.what());
    }
  }
}

void EventLoop::dispatch(uint64_t key, uint32_t events) {
  // A callback before may have ended this watch; keys are never used again.
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    return;
  }
  std::shared_ptr<Entry> entry = found->second;
  try {
    entry->callback(events);
  } catch (const std::exception& error) {
    log::error("a descriptor is not watched any more: {}", error.what());
    if (entries_.erase(key) > 0) {
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->fd, nullptr);
    }
  }
}

void EventLoop::run(const std::function<void()>& after_turn) {
  std::array<epoll_event, 32> events;
  while (!stopped_) {
    int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), posted_.empty() ? -1 : 0);
    if (count < 0 && errno != EINTR) {
      throw system_error("wait for events");
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      dispatch(event.data.u64, event.events);
    }
    run_posted();
    if (posted_.empty()) {
      after_turn();
    }
  }
}

}  // namespace bulkhead::shim
