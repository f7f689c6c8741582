// /proc/PID/status, /proc/PID/stat and /proc/PID/limits (proc(5)) as facts. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace bulkhead::facts {

class Process;

/// Ids, capabilities, NoNewPrivs, seccomp mode and number of filters, resident memory. Lines that are not there leave zeroes.
void read_status(std::string_view text, Process& process);

/// Milliseconds in user and kernel mode; 0 where the text is none of stat's. `ticks`: per second (sysconf(3)).
uint64_t processor_time_of(std::string_view stat, uint64_t ticks);

/// What /proc/PID/limits says (prlimit(2) would need CAP_SYS_RESOURCE for another user's process).
void read_resource_limits(std::string_view text, Process& process);

}  // namespace bulkhead::facts
