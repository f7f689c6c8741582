// Work that must happen once at a time per key (a layer's fetching), and a bound on how much happens at once. Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

#include "image/cancel.h"

namespace bulkhead::image {

class ExclusiveKeys {
 public:
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold() { release(); }
    void release() noexcept;

   private:
    friend class ExclusiveKeys;
    ExclusiveKeys* owner_ = nullptr;
    std::string key_;
  };

  /// Waits until nobody else holds the key. Throws where cancelled.
  Hold acquire(const std::string& key, const CancelToken& cancel);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> held_;
};

class Slots {
 public:
  explicit Slots(int count) : free_(count < 1 ? 1 : count) {}

  class Hold {
   public:
    explicit Hold(Slots& owner) : owner_(owner) {}
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold();

   private:
    Slots& owner_;
  };

  /// Waits for a free slot. Throws where cancelled.
  [[nodiscard]] std::unique_ptr<Hold> acquire(const CancelToken& cancel);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int free_;
};

}  // namespace bulkhead::image
