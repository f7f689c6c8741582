// A folder whose content is deleted in the background: what is removed disappears by one rename, at once and crash-safe; what a
// crash left in it is deleted at the next start. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::storage {

class Trash {
 public:
  /// Makes the folder; deletes in the background what it holds. It must be on the file system of what is discarded.
  explicit Trash(const std::filesystem::path& folder);
  /// Does not wait until all is deleted.
  ~Trash();
  Trash(const Trash&) = delete;
  Trash& operator=(const Trash&) = delete;

  /// Moves `path` here. Missing is fine.
  void discard(const std::filesystem::path& path);

 private:
  void add(std::string name);
  void run();

  std::filesystem::path folder_;
  UniqueFd fd_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> queue_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;  // started by the first entry
};

}  // namespace bulkhead::storage
