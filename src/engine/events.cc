#include "engine/events.h"

namespace bulkhead::engine {

void EventBus::publish(Event event) {
  {
    std::lock_guard lock(mutex_);
    if (event.time == TimePoint{}) {
      event.time = now();
    }
    events_.push_back(std::move(event));
    if (events_.size() > kKept) {
      events_.pop_front();
      ++first_;
    }
  }
  published_.notify_all();
}

uint64_t EventBus::next() const {
  std::lock_guard lock(mutex_);
  return first_ + events_.size();
}

uint64_t EventBus::oldest() const {
  std::lock_guard lock(mutex_);
  return first_;
}

std::optional<Event> EventBus::wait(uint64_t& sequence, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  if (!published_.wait_for(lock, timeout, [&] { return sequence < first_ + events_.size(); })) {
    return std::nullopt;
  }
  if (sequence < first_) {
    sequence = first_;
  }
  return events_[sequence++ - first_];
}

}  // namespace bulkhead::engine
