#include "runner/proc_targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace bulkhead::runner {

bool is_at_proc(std::string_view target) { return target == "/proc" || target.starts_with("/proc/"); }

void check_proc_target(const std::string& target, const std::string& type, IsBind bind) {
  static constexpr std::array<std::string_view, 11> kAllowed{"/proc/cpuinfo",
                                                             "/proc/diskstats",
                                                             "/proc/loadavg",
                                                             "/proc/meminfo",
                                                             "/proc/net/dev",
                                                             "/proc/slabinfo",
                                                             "/proc/stat",
                                                             "/proc/swaps",
                                                             "/proc/uptime",
                                                             "/proc/sys/crypto/fips_enabled",
                                                             "/proc/sys/kernel/ns_last_pid"};
  if (target == "/proc" && bind == IsBind::kNo && type != "proc") {
    throw not_proc(target);
  }
  if (target != "/proc" && is_at_proc(target) && std::find(kAllowed.begin(), kAllowed.end(), target) == kAllowed.end()) {
    throw inside_proc(target);
  }
}

Error not_proc(std::string_view target) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("\"{}\" cannot be mounted because it is not of type proc; mount it elsewhere", target)};
}

Error inside_proc(std::string_view target) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("\"{}\" cannot be mounted because it is inside /proc; mount it elsewhere", target)};
}

}  // namespace bulkhead::runner
