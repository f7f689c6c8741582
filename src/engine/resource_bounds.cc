#include "engine/resource_bounds.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "engine/cpu_list.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::kInvalidArgument, why); }

/// Docker's words: which of these CPUs or memory nodes the host doesn't have. Throws where the list itself is none.
void check_set(const std::string& wanted, const char* what, const char* available_file) {
  if (wanted.empty()) {
    return;
  }
  auto parse = [&](const std::string& text) {
    auto numbers = parse_cpu_list(text);
    if (!numbers) {
      refuse(fmt::format("Invalid value {} for {}", wanted, what));
    }
    return *numbers;
  };
  std::set<int> asked = parse(wanted);
  std::string available = read_file(available_file, 4096);
  available.erase(available.find_last_not_of(" \n") + 1);
  std::set<int> present = parse(available);
  if (!std::includes(present.begin(), present.end(), asked.begin(), asked.end())) {
    refuse(fmt::format("Requested {} are not available - requested {}, available: {}", what, wanted, available));
  }
}

void check_memory(const HostConfig& config) {
  constexpr int64_t kMinimumMemory = 6LL << 20;
  if (config.memory != 0 && config.memory < kMinimumMemory) {
    refuse("Minimum memory limit allowed is 6MB");
  }
  if (config.memory_swap > 0 && config.memory == 0) {
    refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (config.memory > 0 && config.memory_swap > 0 && config.memory_swap < config.memory) {
    refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (config.memory_reservation > 0 && config.memory > 0 && config.memory_reservation > config.memory) {
    refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
  if (config.memory_swappiness && (*config.memory_swappiness < 0 || *config.memory_swappiness > 100)) {
    refuse(fmt::format("Invalid value: {}, valid memory swappiness range is 0-100", *config.memory_swappiness));
  }
}

void check_processors(const HostConfig& config) {
  if (config.nano_cpus > 0 && (config.cpu_quota > 0 || config.cpu_period > 0)) {
    refuse("Conflicting options: Nano CPUs and CPU Quota or Period cannot both be set.");
  }
  if (int64_t cpus = sysconf(_SC_NPROCESSORS_ONLN); config.nano_cpus < 0 || config.nano_cpus > cpus * 1'000'000'000) {
    refuse(fmt::format("Range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available", cpus));
  }
  // What the kernel would clamp without a word (sched(7), kernel/sched/core.c: MIN_SHARES, MAX_SHARES).
  if (config.cpu_shares < 0) {
    refuse(fmt::format("invalid CPU shares ({}): value must be a positive integer", config.cpu_shares));
  }
  if (config.cpu_shares == 1) {
    refuse("the minimum allowed cpu-shares is 2");
  }
  if (config.cpu_shares > 262'144) {
    refuse("the maximum allowed cpu-shares is 262144");
  }
  if (config.cpu_period != 0 && (config.cpu_period < 1000 || config.cpu_period > 1'000'000)) {
    refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (config.cpu_quota > 0 && config.cpu_quota < 1000) {
    refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  }
  check_set(config.cpuset_cpus, "CPUs", "/sys/devices/system/cpu/online");
  check_set(config.cpuset_mems, "memory nodes", "/sys/devices/system/node/online");
}

}  // namespace

void check_resources(const HostConfig& config) {
  check_memory(config);
  check_processors(config);
  if (config.blkio_weight != 0 && (config.blkio_weight < 10 || config.blkio_weight > 1000)) {
    refuse("Range of blkio weight is from 10 to 1000");
  }
  if (config.shm_size < 0) {
    refuse("SHM size can not be less than 0");
  }
  if (config.oom_score_adj < -1000 || config.oom_score_adj > 1000) {
    refuse(fmt::format("Invalid value {}, range for oom score adj is [-1000, 1000]", config.oom_score_adj));
  }
  if (config.auto_remove && config.restart_policy.name != "no") {
    refuse("can't create 'AutoRemove' container with restart policy");
  }
}

std::vector<std::string> resource_warnings(const HostConfig& config) {
  if (config.oom_kill_disable && config.memory == 0) {
    return {
        "The OOM killer is disabled for a container without a memory limit (-m): it can take all of the host's memory, and "
        "nothing ends it then."};
  }
  return {};
}

}  // namespace bulkhead::engine
