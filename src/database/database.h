// SQLite, thin: one connection behind a mutex. WAL with synchronous=NORMAL: a commit survives the death of the process at once
// and a power loss up to the last checkpoint; the file is consistent always (sqlite.org/wal.html).
// Beside the file lies a reserve of disk space, given up where the disk is full: containers can end and be removed then too.
// Thread-safe: each `Database` call and each `Transaction` holds the mutex. Calls block on the disk only at checkpoints.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace bulkhead {

using DatabaseValue = std::variant<std::nullptr_t, int64_t, std::string>;

/// One row of a result; columns count from 0. A NULL reads as "" and 0.
class DatabaseRow {
 public:
  explicit DatabaseRow(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t integer(int column) const;
  std::string text(int column) const;
  bool is_null(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class Database {
 public:
  /// Opens or creates. Throws kDataLoss where the file is not a database.
  explicit Database(const std::filesystem::path& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs one statement, calls `row` for each row of its result. A violated UNIQUE or PRIMARY KEY throws kConflict.
  void run(std::string_view sql, const std::vector<DatabaseValue>& values = {},
           const std::function<void(const DatabaseRow&)>& row = {});
  /// Several statements without values, separated by ';' (schema).
  void script(const std::string& sql);
  /// Number of rows the last INSERT, UPDATE or DELETE on this connection changed.
  int changes() const;
  /// Everything that `body` runs commits together, or not at all where it throws. Nests (the outermost commits).
  void transaction(const std::function<void()>& body);

 private:
  struct Cache;
  sqlite3_stmt* prepared(std::string_view sql);
  void make_reserve();
  /// After SQLITE_FULL: true where there is room now, and what failed may be tried again.
  bool give_up_reserve();

  mutable std::recursive_mutex mutex_;
  sqlite3* handle_ = nullptr;
  int depth_ = 0;
  std::filesystem::path reserve_;
  bool has_reserve_ = false;
  std::chrono::steady_clock::time_point given_up_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace bulkhead
