#include "agent/protocol/event_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "support/error.h"

namespace bulkhead::agent {

Watch::Watch(Watch&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)), key_(other.key_) {}

Watch& Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    reset();
    loop_ = std::exchange(other.loop_, nullptr);
    key_ = other.key_;
  }
  return *this;
}

void Watch::set_events(short events) { loop_->entries_.at(key_)->events = events; }

void Watch::reset() {
  if (EventLoop* loop = std::exchange(loop_, nullptr)) {
    loop->entries_.erase(key_);
  }
}

EventLoop::EventLoop() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) {
    throw system_error("make an eventfd");
  }
}

Watch EventLoop::watch(int fd, short events, Callback callback) {
  uint64_t key = next_key_++;
  entries_.emplace(key, std::make_shared<Entry>(Entry{.fd = fd, .events = events, .callback = std::move(callback)}));
  return {*this, key};
}

void EventLoop::post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
  uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(wake_.get(), &one, sizeof(one));  // full only where it wakes already
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    uint64_t count = 0;
    [[maybe_unused]] auto got = ::read(wake_.get(), &count, sizeof(count));
    tasks.swap(posted_);
  }
  for (auto& task : tasks) {
    task();
  }
}

void EventLoop::run() {
  std::vector<pollfd> descriptors;
  std::vector<std::pair<uint64_t, std::shared_ptr<Entry>>> polled;
  while (!stopped_) {
    descriptors.assign(1, {.fd = wake_.get(), .events = POLLIN, .revents = 0});
    polled.clear();
    for (auto& [key, entry] : entries_) {
      if (entry->events != 0) {
        descriptors.push_back({.fd = entry->fd, .events = entry->events, .revents = 0});
        polled.emplace_back(key, entry);
      }
    }
    if (::poll(descriptors.data(), descriptors.size(), -1) < 0 && errno != EINTR) {
      throw system_error("poll");
    }
    if (descriptors[0].revents != 0) {
      run_posted();
    }
    for (size_t i = 0; i < polled.size() && !stopped_; ++i) {
      short events = descriptors[i + 1].revents;
      // Gone or paused since: by a callback of this turn.
      if (events != 0 && entries_.contains(polled[i].first) && polled[i].second->events != 0) {
        polled[i].second->callback(events);
      }
    }
  }
}

}  // namespace bulkhead::agent
