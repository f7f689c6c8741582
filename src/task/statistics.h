// What a container uses, as the shim says it: a JSON object with these names, which are those of sandbox::Statistics.
#pragma once

#include <cstdint>
#include <string>

namespace bulkhead::task {

struct Statistics {
  uint64_t memory_usage = 0, memory_limit = 0, memory_inactive_file = 0, memory_max_usage = 0;  // bytes
  uint64_t cpu_usage = 0, cpu_user = 0, cpu_system = 0;                                         // nanoseconds
  uint64_t periods = 0, throttled_periods = 0, throttled_time = 0;
  uint64_t pids_current = 0, pids_limit = 0;  // limit 0: none
};

/// Throws kDataLoss.
Statistics parse_statistics(const std::string& text);

}  // namespace bulkhead::task
