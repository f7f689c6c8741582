// The command of an init that waits, in memory that parent and child share at one address: the parent can put another there for
// as long as the child has not been told to start. The child only reads, and loses it with execve(2).
//
// Owned by the plan; the parent's thread writes.
#pragma once

#include <cstddef>
#include <vector>

namespace bulkhead::runner {

class SharedCommand {
 public:
  /// mmap(2), MAP_SHARED: before the clone.
  SharedCommand();
  ~SharedCommand();
  SharedCommand(const SharedCommand&) = delete;
  SharedCommand& operator=(const SharedCommand&) = delete;

  /// Copies all three; each ends with nullptr. Throws kResourceExhausted where they take more than execve(2) would.
  void put(const std::vector<const char*>& candidates, const std::vector<const char*>& argv,
           const std::vector<const char*>& environment);

  // For the child.
  const char* const* candidates() const { return head_->candidates; }
  const char* const* argv() const { return head_->argv; }
  const char* const* environment() const { return head_->environment; }

 private:
  struct Head {
    const char* const* candidates;
    const char* const* argv;
    const char* const* environment;
  };
  const char* const* copy(const std::vector<const char*>& texts);
  void* take(size_t bytes);

  Head* head_ = nullptr;
  size_t used_ = 0;
};

}  // namespace bulkhead::runner
