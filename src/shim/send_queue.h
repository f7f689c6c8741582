// Bytes on their way to a non-blocking descriptor: sent at once as far as it takes them, the rest kept in order.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::shim {

/// What a slow reader may make the shim hold before the container's stream is paused.
inline constexpr size_t kMaxUnsent = 1UL << 20;

class SendQueue {
 public:
  enum class Peer { kThere, kGone };

  /// `header` and `bytes` go out together.
  Peer send(int fd, std::string_view header, std::string_view bytes);
  /// Tries again with what is kept.
  Peer flush(int fd);
  size_t size() const { return kept_.size() - sent_; }
  bool empty() const { return size() == 0; }
  void clear();

 private:
  std::string kept_;
  size_t sent_ = 0;
};

}  // namespace bulkhead::shim
