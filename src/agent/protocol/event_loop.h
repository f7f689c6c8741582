// A small event loop over poll(2) for the agent (its only thread) and for the thread that serves one VM on the host: a handful
// of descriptors, few enough that poll costs what epoll does.
//
// All but `post` is for the loop's thread only (or before it runs). A callback may destroy any Watch, its own too.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::agent {

class EventLoop;

/// Watches a descriptor for as long as it lives. Destroy it before the descriptor is closed, and before the loop.
class Watch {
 public:
  Watch() = default;
  Watch(EventLoop& loop, uint64_t key) : loop_(&loop), key_(key) {}
  Watch(Watch&& other) noexcept;
  Watch& operator=(Watch&& other) noexcept;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { reset(); }

  bool active() const { return loop_ != nullptr; }
  /// POLLIN, POLLOUT; 0: nothing at all is reported, not even POLLHUP, until it is set again.
  void set_events(short events);
  void reset();

 private:
  EventLoop* loop_ = nullptr;
  uint64_t key_ = 0;
};

class EventLoop {
 public:
  using Callback = std::function<void(short events)>;

  EventLoop();

  [[nodiscard]] Watch watch(int fd, short events, Callback callback);
  /// From any thread: `task` runs in the loop's thread, soon.
  void post(std::function<void()> task);
  /// Runs callbacks until `stop`. What a callback throws comes out.
  void run();
  void stop() { stopped_ = true; }

 private:
  friend class Watch;
  struct Entry {
    int fd;
    short events;
    Callback callback;
  };
  void run_posted();

  UniqueFd wake_;
  std::map<uint64_t, std::shared_ptr<Entry>> entries_;
  uint64_t next_key_ = 1;
  bool stopped_ = false;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // under mutex_
};

}  // namespace bulkhead::agent
