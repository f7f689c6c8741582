// What a container uses at one moment: `docker stats`.
#pragma once

#include <cstdint>
#include <string>

#include "support/time.h"

namespace bulkhead::engine {

/// As the container sees it: received is what came to it.
struct LinkCounters {
  std::string name;  // "eth0" of the container
  uint64_t received_bytes = 0, received_packets = 0, received_errors = 0, received_dropped = 0;
  uint64_t sent_bytes = 0, sent_packets = 0, sent_errors = 0, sent_dropped = 0;
};

struct ContainerStatistics {
  std::string id, name;
  TimePoint read{};
  uint64_t memory_usage = 0, memory_limit = 0, memory_inactive_file = 0, memory_max_usage = 0;  // bytes
  uint64_t cpu_usage = 0, cpu_user = 0, cpu_system = 0;                                         // nanoseconds
  uint64_t periods = 0, throttled_periods = 0, throttled_time = 0;
  uint64_t pids_current = 0, pids_limit = 0;  // limit 0: none
  // Of the host, whichever kernel counted the rest: all processors' time together, in nanoseconds.
  uint64_t host_cpu_usage = 0;
  unsigned online_cpus = 0;
  bool has_link = false;
  LinkCounters link;
};

}  // namespace bulkhead::engine
