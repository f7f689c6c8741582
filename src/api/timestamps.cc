#include "api/timestamps.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "support/error.h"

namespace bulkhead::api {
namespace {
using std::chrono::nanoseconds;

constexpr int64_t kMaximumSeconds = 9'000'000'000;  // what fits a count of nanoseconds, with room: the year 2255

bool take_number(std::string_view& text, int64_t& value) {
  auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stopped == text.data()) {
    return false;
  }
  text.remove_prefix(static_cast<size_t>(stopped - text.data()));
  return true;
}

/// ".5" -> 500,000,000; leaves what follows the digits.
nanoseconds take_fraction(std::string_view& text) {
  int64_t value = 0;
  if (!text.starts_with('.')) {
    return nanoseconds(0);
  }
  text.remove_prefix(1);
  for (int64_t unit = 100'000'000; !text.empty() && text.front() >= '0' && text.front() <= '9'; unit /= 10) {
    value += (text.front() - '0') * unit;
    text.remove_prefix(1);
  }
  return nanoseconds(value);
}

std::optional<TimePoint> unix_time(std::string_view text) {
  int64_t seconds = 0;
  if (!take_number(text, seconds)) {
    return std::nullopt;
  }
  seconds = std::clamp(seconds, -kMaximumSeconds, kMaximumSeconds);
  nanoseconds fraction = take_fraction(text);
  return text.empty() ? std::optional(TimePoint(std::chrono::seconds(seconds) + fraction)) : std::nullopt;
}

std::optional<nanoseconds> duration(std::string_view text) {
  nanoseconds sum{0};
  while (!text.empty()) {
    int64_t count = 0;
    if (!take_number(text, count) || count < 0 || count > 1'000'000) {
      return std::nullopt;
    }
    nanoseconds fraction = take_fraction(text);
    nanoseconds unit{};
    size_t letters = 1;
    if (text.starts_with("ms")) {
      unit = std::chrono::milliseconds(1);
      letters = 2;
    } else if (text.starts_with('h')) {
      unit = std::chrono::hours(1);
    } else if (text.starts_with('m')) {
      unit = std::chrono::minutes(1);
    } else if (text.starts_with('s')) {
      unit = std::chrono::seconds(1);
    } else {
      return std::nullopt;
    }
    sum += count * unit +
           nanoseconds(static_cast<int64_t>(static_cast<double>(unit.count()) * 1e-9 * static_cast<double>(fraction.count())));
    text.remove_prefix(letters);
  }
  return sum;
}

}  // namespace

std::optional<TimePoint> parse_instant(std::string_view text, std::string_view parameter, TimePoint now) {
  if (text.empty() || text == "0") {
    return std::nullopt;
  }
  if (auto time = unix_time(text)) {
    return time;
  }
  if (auto before = duration(text)) {
    return now - *before;
  }
  for (std::string_view rest : {"", "Z", "T00:00:00Z"}) {
    if (auto time = parse_rfc3339(std::string(text) + std::string(rest))) {
      return time;
    }
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid value for {}: '{}' is no point in time", parameter, text));
}

}  // namespace bulkhead::api
