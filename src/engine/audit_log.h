// The log of what the policy decided: JSON lines, appended by one engine, for its owner's eyes only (0600). Rotated by size:
// audit.log, audit.log.1 (newer) ... audit.log.5. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>

#include "support/unique_fd.h"

namespace bulkhead::engine {

class AuditLog {
 public:
  /// `limit` in bytes: what a file may grow to before the next one is begun.
  explicit AuditLog(std::filesystem::path path, int64_t limit = 16LL << 20);
  /// One line, whole or not at all. Throws naming the file where it can't be written: what can't be logged must not happen.
  void write(const nlohmann::json& entry);

 private:
  void open();
  bool is_in_place() const;
  void rotate();

  std::filesystem::path path_;
  int64_t limit_;
  std::mutex mutex_;
  UniqueFd file_;
  int64_t size_ = 0;
};

}  // namespace bulkhead::engine
