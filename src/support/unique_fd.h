// The owner of one file descriptor. Not thread-safe; move it to hand ownership over.
#pragma once

#include <utility>

namespace bulkhead {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  explicit operator bool() const noexcept { return valid(); }
  /// Gives the descriptor away: the caller closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is held (a failing close is not reported) and takes `fd`.
  void reset(int fd = -1) noexcept;
  /// Closes and throws where close(2) fails: for files whose content matters.
  void close();

 private:
  int fd_ = -1;
};

}  // namespace bulkhead
