// Sizes and times as docker writes and reads them. Pure functions; parsers throw kInvalidArgument quoting the text.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "support/time.h"

namespace bulkhead::cli {

/// Decimal units, `digits` significant: 206123456 -> "206MB" (3), "206.1MB" (4).
std::string human_size(double bytes, int digits = 3);
/// Binary units with four digits: "3.842GiB".
std::string binary_size(double bytes);
/// "64m", "1.5GiB", "512": bytes, in units of 1024.
int64_t parse_size(std::string_view text);
/// "1.5" processors: 1500000000. At most nine decimal places.
int64_t parse_cpus(std::string_view text);
/// "About a minute", "3 hours".
std::string human_duration(std::chrono::seconds duration);
/// What `--since` and `--until` of logs accept ("10m", "1h30m", RFC 3339 with or without zone, seconds since 1970), as the API
/// wants it: "seconds.nanoseconds".
std::string timestamp(std::string_view text, TimePoint now);

}  // namespace bulkhead::cli
