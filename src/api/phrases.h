// Durations, sizes and states in the words that docker prints. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/container.h"
#include "support/time.h"

namespace bulkhead::api {

/// "Less than a second", "5 seconds", "About a minute", "3 weeks".
std::string human_duration(std::chrono::nanoseconds duration);
/// Decimal units with four significant digits: "12.35MB".
std::string human_size(int64_t bytes);
/// "Up 5 seconds (Paused)", "Exited (0) 3 minutes ago", "Created".
std::string status_phrase(const engine::Container& container, TimePoint now);
/// The command as `docker ps` shows it; arguments that a shell would split are quoted.
std::string command_line(const std::string& path, const std::vector<std::string>& arguments);
/// "[==>       ]  1MB/2MB": what old clients print of a transfer.
std::string progress_bar(int64_t current, int64_t total);

}  // namespace bulkhead::api
