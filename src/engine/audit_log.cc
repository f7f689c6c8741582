#include "engine/audit_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

constexpr int kKept = 5;

std::filesystem::path numbered(const std::filesystem::path& path, int number) {
  return number == 0 ? path : std::filesystem::path(fmt::format("{}.{}", path.native(), number));
}

}  // namespace

AuditLog::AuditLog(std::filesystem::path path, int64_t limit) : path_(std::move(path)), limit_(limit) {}

void AuditLog::open() {
  file_ = open_file(path_, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0600);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) {
    throw system_error(fmt::format("look at '{}'", path_.native()));
  }
  size_ = status.st_size;
}

/// Somebody may have removed it, or put it elsewhere, as log rotation does.
bool AuditLog::is_in_place() const {
  struct stat open {};
  struct stat named {};
  return file_ && ::fstat(file_.get(), &open) == 0 && ::lstat(path_.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

void AuditLog::rotate() {
  std::error_code ignored;  // one that isn't there yet
  for (int number = kKept - 1; number >= 0; --number) {
    std::filesystem::rename(numbered(path_, number), numbered(path_, number + 1), ignored);
  }
  file_.reset();
  open();
}

void AuditLog::write(const nlohmann::json& entry) {
  // Names, labels and reasons need not be UTF-8.
  std::string line = entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::lock_guard lock(mutex_);
  if (!is_in_place()) {
    open();
  }
  if (size_ > 0 && size_ + static_cast<int64_t>(line.size()) > limit_) {
    rotate();
  }
  ssize_t written = ::write(file_.get(), line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size())) {
    size_ += written;
    return;
  }
  int error_number = written < 0 ? errno : ENOSPC;
  if (written > 0 && ::ftruncate(file_.get(), size_) != 0) {
    size_ += written;  // a part of a line stays: the next one still gets its own, as every line begins after a newline
    [[maybe_unused]] ssize_t ended = ::write(file_.get(), "\n", 1);
  }
  throw system_error(fmt::format("write the policy's decision to '{}'", path_.native()), error_number);
}

}  // namespace bulkhead::engine
