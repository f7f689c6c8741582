// Wall-clock instants and their RFC 3339 text, as the Engine API writes them ("2026-11-23T18:00:00.123456789Z").
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead {

using TimePoint = std::chrono::sys_time<std::chrono::nanoseconds>;

TimePoint now();
/// UTC with nine fractional digits.
std::string rfc3339(TimePoint time);
/// Parses RFC 3339 with optional fraction and any zone offset; nullopt where it isn't that.
std::optional<TimePoint> parse_rfc3339(std::string_view text);

}  // namespace bulkhead
