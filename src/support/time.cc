#include "support/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace bulkhead {

TimePoint now() { return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now()); }

std::string rfc3339(TimePoint time) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  time_t unix_seconds = seconds.time_since_epoch().count();
  tm parts{};
  gmtime_r(&unix_seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec, (time - seconds).count());
}

std::optional<TimePoint> parse_rfc3339(std::string_view text) {
  tm parts{};
  int consumed = 0;
  std::string copy(text);
  if (sscanf(copy.c_str(), "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour,
             &parts.tm_min, &parts.tm_sec, &consumed) != 6 ||
      consumed == 0) {
    return std::nullopt;
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  std::string_view rest = std::string_view(copy).substr(static_cast<size_t>(consumed));
  int64_t nanoseconds = 0;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    int64_t unit = 100'000'000;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      nanoseconds += (rest.front() - '0') * unit;
      unit /= 10;
      rest.remove_prefix(1);
    }
  }
  int offset = 0;
  if (rest != "Z" && rest != "z") {
    int hours = 0;
    int minutes = 0;
    char sign = 0;
    std::string zone(rest);
    if (sscanf(zone.c_str(), "%c%2d:%2d", &sign, &hours, &minutes) != 3 || (sign != '+' && sign != '-')) {
      return std::nullopt;
    }
    offset = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
  }
  // SECURITY: an image's dates are its maker's; what doesn't fit a count of nanoseconds is the last (or first) that does.
  constexpr int64_t kMaximumSeconds = 9'000'000'000;
  int64_t seconds = std::clamp<int64_t>(timegm(&parts) - offset, -kMaximumSeconds, kMaximumSeconds);
  return TimePoint(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds));
}

}  // namespace bulkhead
