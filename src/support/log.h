// Log lines to standard error: "2026-11-23T18:00:00.000Z level message". Thread-safe. For what an administrator should see;
// never for an error that is also thrown.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace bulkhead::log {

enum class Level { kDebug, kInfo, kWarn, kError };

/// Lines below `level` are dropped. kInfo until set.
void set_level(Level level);
void write(Level level, std::string_view message);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace bulkhead::log
