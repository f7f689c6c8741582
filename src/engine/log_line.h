// One line of a json-file log. Written by the shim, but its text is the container's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "support/time.h"

namespace bulkhead::engine {

enum class LogStream { kOut, kErr };

struct LogEntry {
  LogStream stream = LogStream::kOut;
  TimePoint time{};
  std::string text;        // with its line break, where it has one
  std::string attributes;  // "name=value,name=value", sorted; empty where the line has none
};

/// nullopt where the line is no entry. A line of which a crash tore off the beginning's end, so that the next entry was written
/// into it, gives that next entry.
std::optional<LogEntry> parse_log_line(std::string_view line);

}  // namespace bulkhead::engine
