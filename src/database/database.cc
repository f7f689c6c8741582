#include "database/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <map>

#include "support/error.h"
#include "support/scope_guard.h"

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

Database::Database(const std::filesystem::path& path) : cache_(std::make_unique<Cache>()) {
  auto close_guard = ScopeGuard([&] { sqlite3_close(handle_); });
  if (sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) !=
      SQLITE_OK) {
    fail(handle_, fmt::format("open '{}'", path.native()));
  }
  sqlite3_busy_timeout(handle_, 5000);
  script("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-512;");
  close_guard.dismiss();
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
    script("COMMIT");
  }
}

}  // namespace bulkhead
