#include "cli/quantities.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <optional>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

[[noreturn]] void throw_bad(std::string_view what, std::string_view text, std::string_view wanted) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid {} '{}': write {}", what, text, wanted));
}

template <size_t N>
std::string scaled(double value, double base, const std::array<std::string_view, N>& units, int digits) {
  size_t unit = 0;
  while (value >= base && unit + 1 < N) {
    value /= base;
    ++unit;
  }
  return fmt::format("{:.{}g}{}", value, digits, units[unit]);
}

std::optional<double> parse_decimal(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (text.empty() || text.front() == '-' || error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// The nanoseconds in one of Go's duration units; 0 where it is none.
double duration_unit(std::string_view unit) {
  if (unit == "h") return 3600e9;
  if (unit == "m") return 60e9;
  if (unit == "s") return 1e9;
  if (unit == "ms") return 1e6;
  if (unit == "us") return 1e3;
  return unit == "ns" ? 1 : 0;
}

// "1h30m", "10s": Go's time.ParseDuration without signs.
std::optional<nanoseconds> parse_duration(std::string_view text) {
  double total = 0;
  if (text.empty()) {
    return std::nullopt;
  }
  while (!text.empty()) {
    size_t number_end = text.find_first_not_of("0123456789.");
    if (number_end == std::string_view::npos || number_end == 0) {
      return std::nullopt;
    }
    std::optional<double> number = parse_decimal(text.substr(0, number_end));
    text.remove_prefix(number_end);
    size_t unit_end = std::min(text.find_first_of("0123456789."), text.size());
    double unit = duration_unit(text.substr(0, unit_end));
    text.remove_prefix(unit_end);
    if (!number || unit == 0) {
      return std::nullopt;
    }
    total += *number * unit;
  }
  if (total > 9e18) {
    return std::nullopt;
  }
  return nanoseconds(static_cast<int64_t>(total));
}

// "2026-11-23", "2026-11-23T18:00", "2026-11-23T18:00:00" in local time.
std::optional<TimePoint> parse_local(const std::string& text) {
  for (const char* format : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    tm parts{};
    parts.tm_isdst = -1;
    const char* end = strptime(text.c_str(), format, &parts);
    if (end != nullptr && *end == '\0') {
      return TimePoint(seconds(mktime(&parts)));
    }
  }
  return std::nullopt;
}

std::string api_time(TimePoint time) {
  auto whole = std::chrono::floor<seconds>(time.time_since_epoch());
  return fmt::format("{}.{:09}", whole.count(), (time.time_since_epoch() - whole).count());
}

}  // namespace

std::string human_size(double bytes, int digits) {
  static constexpr std::array<std::string_view, 7> kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  return scaled(bytes, 1000, kUnits, digits);
}

std::string binary_size(double bytes) {
  static constexpr std::array<std::string_view, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  return scaled(bytes, 1024, kUnits, 4);
}

int64_t parse_size(std::string_view text) {
  constexpr std::string_view kWanted = "a number with an optional unit, such as 512m or 1.5g";
  std::string_view rest = text;
  if (!rest.empty() && (rest.back() == 'b' || rest.back() == 'B')) {
    rest.remove_suffix(1);
  }
  bool binary_mark = !rest.empty() && (rest.back() == 'i' || rest.back() == 'I');
  if (binary_mark) {
    rest.remove_suffix(1);
  }
  constexpr std::string_view kLetters = "kmgtp";
  size_t power = 0;
  if (!rest.empty()) {
    size_t letter = kLetters.find(static_cast<char>(std::tolower(static_cast<unsigned char>(rest.back()))));
    if (letter != std::string_view::npos) {
      power = letter + 1;
      rest.remove_suffix(1);
    }
  }
  if (rest.ends_with(' ')) {
    rest.remove_suffix(1);
  }
  std::optional<double> number = parse_decimal(rest);
  if (!number || (binary_mark && power == 0)) {
    throw_bad("size", text, kWanted);
  }
  double bytes = *number * std::pow(1024.0, static_cast<double>(power));
  if (bytes >= static_cast<double>(std::numeric_limits<int64_t>::max())) {
    throw_bad("size", text, "less than 8 EiB");
  }
  return static_cast<int64_t>(bytes);
}

int64_t parse_cpus(std::string_view text) {
  constexpr std::string_view kWanted = "a number of processors, such as 1.5";
  size_t point = text.find('.');
  std::string_view whole_text = text.substr(0, point);
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  if (fraction.size() > 9) {
    throw_bad("number of processors", text, "at most nine decimal places");
  }
  if ((whole_text.empty() && fraction.empty()) || whole_text.size() > 9 ||
      (std::string(whole_text) + fraction).find_first_not_of("0123456789") != std::string::npos) {
    throw_bad("number of processors", text, kWanted);
  }
  fraction.resize(9, '0');
  int64_t whole = whole_text.empty() ? 0 : std::stoll(std::string(whole_text));
  return whole * 1'000'000'000 + std::stoll(fraction);
}

std::string human_duration(seconds duration) {
  constexpr int64_t kWeek = 168;  // in hours
  constexpr int64_t kMonth = 720;
  constexpr int64_t kYear = 8760;
  int64_t count = std::max<int64_t>(duration.count(), 0);
  int64_t minutes = count / 60;
  int64_t hours = (count + 1800) / 3600;
  if (count < 1) return "Less than a second";
  if (count == 1) return "1 second";
  if (count < 60) return fmt::format("{} seconds", count);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return fmt::format("{} minutes", minutes);
  if (hours == 1) return "About an hour";
  if (hours < 48) return fmt::format("{} hours", hours);
  if (hours < kWeek * 2) return fmt::format("{} days", hours / 24);
  if (hours < kMonth * 2) return fmt::format("{} weeks", hours / kWeek);
  if (hours < kYear * 2) return fmt::format("{} months", hours / kMonth);
  return fmt::format("{} years", hours / kYear);
}

std::string timestamp(std::string_view text, TimePoint now) {
  if (!text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos && parse_decimal(text)) {
    return std::string(text);
  }
  if (std::optional<nanoseconds> ago = parse_duration(text)) {
    return api_time(now - *ago);
  }
  if (std::optional<TimePoint> time = parse_rfc3339(text)) {
    return api_time(*time);
  }
  if (std::optional<TimePoint> time = parse_local(std::string(text))) {
    return api_time(*time);
  }
  throw_bad("time", text, "a duration such as 10m, a time such as 2026-11-23T18:00:00, or seconds since 1970");
}

}  // namespace bulkhead::cli
