#include "database/database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "support/error.h"
#include "support/scope_guard.h"
#include "support/unique_fd.h"

namespace bulkhead {
namespace {

[[noreturn]] void fail(sqlite3* handle, std::string_view doing) {
  int result = sqlite3_errcode(handle);
  ErrorCode code = ErrorCode::kInternal;
  switch (result) {
    case SQLITE_CONSTRAINT: code = ErrorCode::kConflict; break;
    case SQLITE_FULL:
    case SQLITE_IOERR: code = ErrorCode::kResourceExhausted; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: code = ErrorCode::kDataLoss; break;
    case SQLITE_BUSY: code = ErrorCode::kUnavailable; break;
    default: break;
  }
  throw Error(code, fmt::format("state database: {}: {}", doing, sqlite3_errmsg(handle)));
}

void bind(sqlite3* handle, sqlite3_stmt* statement, const std::vector<DatabaseValue>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    int index = static_cast<int>(i) + 1;
    int result = SQLITE_OK;
    if (const auto* number = std::get_if<int64_t>(&values[i])) {
      result = sqlite3_bind_int64(statement, index, *number);
    } else if (const auto* text = std::get_if<std::string>(&values[i])) {
      result = sqlite3_bind_text(statement, index, text->data(), static_cast<int>(text->size()), nullptr);
    } else {
      result = sqlite3_bind_null(statement, index);
    }
    if (result != SQLITE_OK) {
      fail(handle, "bind a value");
    }
  }
}

}  // namespace

struct Database::Cache {
  std::map<std::string, sqlite3_stmt*, std::less<>> statements;
};

int64_t DatabaseRow::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string DatabaseRow::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes == nullptr ? "" : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

bool DatabaseRow::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Database::Database(const std::filesystem::path& path) : reserve_(path), cache_(std::make_unique<Cache>()) {
  reserve_ += ".reserve";
  auto close_guard = ScopeGuard([&] { sqlite3_close(handle_); });
  if (sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) !=
      SQLITE_OK) {
    fail(handle_, fmt::format("open '{}'", path.native()));
  }
  sqlite3_busy_timeout(handle_, 5000);
  script("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-512;");
  make_reserve();
  close_guard.dismiss();
}

void Database::make_reserve() {
  constexpr off_t kReserve = 1 << 20;  // some 250 pages: hundreds of small changes
  UniqueFd file(::open(reserve_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  // Where the disk is full already there is none to be had: the next attempt comes later.
  has_reserve_ = file && ::posix_fallocate(file.get(), 0, kReserve) == 0;
  if (!has_reserve_) {
    ::unlink(reserve_.c_str());
    given_up_ = std::chrono::steady_clock::now();
  }
}

bool Database::give_up_reserve() {
  if (!std::exchange(has_reserve_, false)) {
    return false;
  }
  given_up_ = std::chrono::steady_clock::now();
  return ::unlink(reserve_.c_str()) == 0;
}

Database::~Database() {
  for (auto& [sql, statement] : cache_->statements) {
    sqlite3_finalize(statement);
  }
  sqlite3_close(handle_);
}

sqlite3_stmt* Database::prepared(std::string_view sql) {
  auto found = cache_->statements.find(sql);
  // A statement that is still being stepped (a nested run of the same text from its row callback) can't be shared.
  if (found != cache_->statements.end()) {
    if (sqlite3_stmt_busy(found->second) != 0) {
      throw Error(ErrorCode::kInternal, fmt::format("state database: '{}' runs inside itself", sql));
    }
    return found->second;
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    fail(handle_, fmt::format("prepare '{}'", sql));
  }
  cache_->statements.emplace(std::string(sql), statement);
  return statement;
}

void Database::run(std::string_view sql, const std::vector<DatabaseValue>& values,
                   const std::function<void(const DatabaseRow&)>& row) {
  std::lock_guard lock(mutex_);
  if (!has_reserve_ && std::chrono::steady_clock::now() - given_up_ > std::chrono::seconds(30)) {
    make_reserve();
  }
  sqlite3_stmt* statement = prepared(sql);
  auto reset = ScopeGuard([&] {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  });
  bind(handle_, statement, values);
  for (;;) {
    int result = sqlite3_step(statement);
    if (result == SQLITE_DONE) {
      return;
    }
    // The statement can run again unless SQLite has rolled the surrounding transaction back (sqlite.org/lang_transaction.html).
    bool whole = depth_ == 0 || sqlite3_get_autocommit(handle_) == 0;
    if ((result == SQLITE_FULL || result == SQLITE_IOERR) && whole && give_up_reserve()) {
      sqlite3_reset(statement);
      continue;
    }
    if (result != SQLITE_ROW) {
      fail(handle_, fmt::format("run '{}'", sql));
    }
    if (row) {
      row(DatabaseRow(statement));
    }
  }
}

void Database::script(const std::string& sql) {
  std::lock_guard lock(mutex_);
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    fail(handle_, fmt::format("run '{}'", sql));
  }
}

int Database::changes() const {
  std::lock_guard lock(mutex_);
  return sqlite3_changes(handle_);
}

void Database::transaction(const std::function<void()>& body) {
  std::lock_guard lock(mutex_);
  if (depth_ == 0) {
    script("BEGIN IMMEDIATE");
  }
  ++depth_;
  try {
    body();
  } catch (...) {
    if (--depth_ == 0) {
      sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    throw;
  }
  if (--depth_ == 0) {
    if (sqlite3_exec(handle_, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK) {
      return;
    }
    if (sqlite3_get_autocommit(handle_) == 0 && give_up_reserve()) {
      script("COMMIT");
      return;
    }
    Error error(ErrorCode::kResourceExhausted, fmt::format("state database: commit: {}", sqlite3_errmsg(handle_)));
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw error;
  }
}

}  // namespace bulkhead
