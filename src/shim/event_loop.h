// One thread's event loop over epoll(7): level-triggered, one callback per descriptor.
//
// Used by the thread that made it only. A callback may destroy any Watch, its own too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::shim {

class EventLoop;

/// Watches one descriptor for as long as it lives; destroy it before the descriptor is closed.
class Watch {
 public:
  Watch() = default;
  Watch(EventLoop& loop, int fd, uint64_t key) : loop_(&loop), fd_(fd), key_(key) {}
  Watch(Watch&& other) noexcept;
  Watch& operator=(Watch&& other) noexcept;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { reset(); }

  bool active() const { return loop_ != nullptr; }
  /// EPOLLIN, EPOLLOUT, ...; 0 still reports EPOLLHUP and EPOLLERR.
  void set_events(uint32_t events);
  void reset();

 private:
  EventLoop* loop_ = nullptr;
  int fd_ = -1;
  uint64_t key_ = 0;
};

class EventLoop {
 public:
  using Callback = std::function<void(uint32_t events)>;

  EventLoop();

  /// Throws where epoll refuses the descriptor (a regular file, or watched already).
  [[nodiscard]] Watch watch(int fd, uint32_t events, Callback callback);
  /// Runs `task` once the callbacks of this turn are done.
  void post(std::function<void()> task) { posted_.push_back(std::move(task)); }
  /// Runs callbacks until `stop`, and `after_turn` each time there is nothing left to do at once. A callback that throws is
  /// logged and its descriptor not watched any more: one broken stream must not take the container's shim along.
  void run(const std::function<void()>& after_turn);
  void stop() { stopped_ = true; }

 private:
  friend class Watch;
  struct Entry {
    Callback callback;
    uint32_t events;
    int fd;
  };
  void dispatch(uint64_t key, uint32_t events);
  void run_posted();

  UniqueFd epoll_;
  uint64_t next_key_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<Entry>> entries_;
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
};

}  // namespace bulkhead::shim
