// The instants that clients write in `since`, `until` and filters.
#pragma once

#include <optional>
#include <string_view>

#include "support/time.h"

namespace bulkhead::api {

/// Unix seconds with an optional fraction ("1700000000.5"), RFC 3339, a UTC date ("2026-11-23", "2026-11-23T18:00:00"), or a
/// duration before `now` ("1h30m", "90s"). Throws kInvalidArgument naming `parameter`. "" and "0": nullopt.
std::optional<TimePoint> parse_instant(std::string_view text, std::string_view parameter, TimePoint now);

}  // namespace bulkhead::api
