#include "support/log.h"

#include <unistd.h>

#include <atomic>
#include <string>

#include "support/time.h"

namespace bulkhead::log {
namespace {
std::atomic<Level> threshold{Level::kInfo};

std::string_view label(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarn: return "warn";
    case Level::kError: return "error";
  }
  return "error";
}
}  // namespace

void set_level(Level level) { threshold = level; }

void write(Level level, std::string_view message) {
  if (level < threshold.load(std::memory_order_relaxed)) {
    return;
  }
  std::string line = fmt::format("{} {} {}\n", rfc3339(now()), label(level), message);
  // One write(2) a line keeps lines of several threads and processes whole. Nothing can be done where it fails.
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace bulkhead::log
