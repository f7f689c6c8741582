// What the kernel counted for a container: memory.stat, cpu.stat and their kin of cgroup v1 and v2.
#include <charconv>
#include <string>

#include "linux/cgroup.h"
#include "linux/cgroup_layout.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::linux {

namespace {

using Path = std::filesystem::path;

std::string text_of(const Path& path) {
  try {
    return read_file(path, 1UL << 20);
  } catch (const Error&) {
    return {};  // a controller that this host lacks counts nothing
  }
}

uint64_t number_of(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);  // "max" stays 0
  return value;
}

/// The value of "key value" lines; 0 where there is no such key.
uint64_t value_of(std::string_view text, std::string_view key) {
  for (size_t start = 0; start < text.size();) {
    size_t end = text.find('\n', start);
    std::string_view line = text.substr(start, end == std::string_view::npos ? end : end - start);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return number_of(line.substr(key.size() + 1));
    }
    start = end == std::string_view::npos ? text.size() : end + 1;
  }
  return 0;
}

constexpr uint64_t kNanosecondsPerMicrosecond = 1000;

CgroupStatistics statistics_v2(const Path& folder) {
  std::string cpu = text_of(folder / "cpu.stat");
  return {
      .memory_usage = number_of(text_of(folder / "memory.current")),
      .memory_limit = number_of(text_of(folder / "memory.max")),
      .memory_inactive_file = value_of(text_of(folder / "memory.stat"), "inactive_file"),
      .memory_max_usage = number_of(text_of(folder / "memory.peak")),
      .cpu_usage = value_of(cpu, "usage_usec") * kNanosecondsPerMicrosecond,
      .cpu_user = value_of(cpu, "user_usec") * kNanosecondsPerMicrosecond,
      .cpu_system = value_of(cpu, "system_usec") * kNanosecondsPerMicrosecond,
      .periods = value_of(cpu, "nr_periods"),
      .throttled_periods = value_of(cpu, "nr_throttled"),
      .throttled_time = value_of(cpu, "throttled_usec") * kNanosecondsPerMicrosecond,
      .pids_current = number_of(text_of(folder / "pids.current")),
      .pids_limit = number_of(text_of(folder / "pids.max")),
  };
}

}  // namespace

CgroupStatistics Cgroup::statistics() const {
  if (cgroup_layout().is_unified()) {
    return statistics_v2(folder(""));
  }
  Path memory = folder("memory");
  Path account = folder("cpuacct");
  Path pids = folder("pids");
  std::string cpu = text_of(folder("cpu") / "cpu.stat");
  return {
      .memory_usage = number_of(text_of(memory / "memory.usage_in_bytes")),
      .memory_limit = number_of(text_of(memory / "memory.limit_in_bytes")),
      .memory_inactive_file = value_of(text_of(memory / "memory.stat"), "total_inactive_file"),
      .memory_max_usage = number_of(text_of(memory / "memory.max_usage_in_bytes")),
      .cpu_usage = number_of(text_of(account / "cpuacct.usage")),
      .cpu_user = number_of(text_of(account / "cpuacct.usage_user")),
      .cpu_system = number_of(text_of(account / "cpuacct.usage_sys")),
      .periods = value_of(cpu, "nr_periods"),
      .throttled_periods = value_of(cpu, "nr_throttled"),
      .throttled_time = value_of(cpu, "throttled_time"),
      .pids_current = number_of(text_of(pids / "pids.current")),
      .pids_limit = number_of(text_of(pids / "pids.max")),
  };
}

uint64_t Cgroup::oom_kills() const {
  if (cgroup_layout().is_unified()) {
    return value_of(text_of(folder("") / "memory.events"), "oom_kill");
  }
  return value_of(text_of(folder("memory") / "memory.oom_control"), "oom_kill");
}

}  // namespace bulkhead::linux
