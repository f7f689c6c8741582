// What happened, in order, to everybody who listens: the engine's event bus, behind GET /events. Keeps the last 1,000 for
// `since`. Thread-safe; publishing never blocks on a slow listener (it loses the oldest and is told so by a gap).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "support/time.h"

namespace bulkhead::engine {

struct Event {
  std::string type;    // "container", "image", "network", "daemon"
  std::string action;  // "create", "start", "die", "exec_start: sh", ...
  std::string actor_id;
  std::map<std::string, std::string> attributes;
  TimePoint time{};
};

class EventBus {
 public:
  void publish(Event event);
  /// The number that the next event will have: where a listener that wants only new ones begins.
  uint64_t next() const;
  /// Number of the oldest event kept.
  uint64_t oldest() const;
  /// The event numbered `sequence` (or, where that was dropped, the oldest kept; `sequence` is moved on past it); waits for it
  /// up to `timeout`, then nullopt.
  std::optional<Event> wait(uint64_t& sequence, std::chrono::milliseconds timeout) const;

 private:
  static constexpr size_t kKept = 1000;
  mutable std::mutex mutex_;
  mutable std::condition_variable published_;
  std::deque<Event> events_;
  uint64_t first_ = 0;
};

}  // namespace bulkhead::engine
