#include "engine/statistics.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <sstream>

#include "engine/engine_state.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

/// The sum of the first line's columns up to softirq, as Docker takes them (proc_stat(5)).
uint64_t host_cpu_usage() {
  std::istringstream text(read_file("/proc/stat"));
  std::string word;
  text >> word;
  uint64_t ticks = 0;
  for (int column = 0; column < 7; ++column) {
    uint64_t value = 0;
    text >> value;
    ticks += value;
  }
  constexpr uint64_t kSecond = 1'000'000'000;
  return ticks * (kSecond / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK)));
}

uint64_t counter(const std::filesystem::path& folder, const char* name) {
  uint64_t value = 0;
  try {
    std::string text = read_file(folder / name);
    std::from_chars(text.data(), text.data() + text.size(), value);
  } catch (const Error&) {  // the container has just ended, and its link with it
  }
  return value;
}

/// Read at the host's end of the veth, where the container can neither rename nor remove it: what this end sends the container
/// receives, of whatever mode it is.
LinkCounters link_counters(const std::string& host_interface) {
  std::filesystem::path folder = std::filesystem::path("/sys/class/net") / host_interface / "statistics";
  return {.name = "eth0",
          .received_bytes = counter(folder, "tx_bytes"),
          .received_packets = counter(folder, "tx_packets"),
          .received_errors = counter(folder, "tx_errors"),
          .received_dropped = counter(folder, "tx_dropped"),
          .sent_bytes = counter(folder, "rx_bytes"),
          .sent_packets = counter(folder, "rx_packets"),
          .sent_errors = counter(folder, "rx_errors"),
          .sent_dropped = counter(folder, "rx_dropped")};
}

void take_counted(const task::Statistics& counted, ContainerStatistics& statistics) {
  statistics.memory_usage = counted.memory_usage;
  statistics.memory_limit = counted.memory_limit;
  statistics.memory_inactive_file = counted.memory_inactive_file;
  statistics.memory_max_usage = counted.memory_max_usage;
  statistics.cpu_usage = counted.cpu_usage;
  statistics.cpu_user = counted.cpu_user;
  statistics.cpu_system = counted.cpu_system;
  statistics.periods = counted.periods;
  statistics.throttled_periods = counted.throttled_periods;
  statistics.throttled_time = counted.throttled_time;
  statistics.pids_current = counted.pids_current;
  statistics.pids_limit = counted.pids_limit;
}

}  // namespace

std::optional<ContainerStatistics> Engine::statistics(const std::string& reference) {
  LivePointer live = state_->find(reference);
  Container record;
  std::shared_ptr<task::Client> client;
  {
    std::lock_guard lock(live->mutex);
    record = live->record;
    client = live->client;
  }
  if (!client || !record.is_running()) {
    return std::nullopt;
  }
  ContainerStatistics statistics{.id = record.id, .name = record.name, .link = {}};
  try {
    take_counted(client->statistics(record.id), statistics);
  } catch (const Error& error) {
    // It ends just now.
    if (error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kConflict ||
        error.code() == ErrorCode::kUnavailable) {
      return std::nullopt;
    }
    throw;
  }
  statistics.read = now();
  statistics.host_cpu_usage = host_cpu_usage();
  statistics.online_cpus = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN));
  if (record.endpoint && !record.endpoint->host_interface.empty()) {
    statistics.has_link = true;
    statistics.link = link_counters(record.endpoint->host_interface);
  }
  return statistics;
}

}  // namespace bulkhead::engine
