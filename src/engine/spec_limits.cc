#include "engine/spec_limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>

#include "oci/container_defaults.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr uint64_t kDefaultPeriod = 100'000;  // microseconds: the kernel's and Docker's

/// cgroup v1 counts swap only with swapaccount=1; v2 always does.
bool swap_is_counted() {
  return access("/sys/fs/cgroup/memory", F_OK) != 0 || access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0;
}

uint64_t limit_value(int64_t value) { return value < 0 ? std::numeric_limits<uint64_t>::max() : static_cast<uint64_t>(value); }

bool is_of_ipc_namespace(const std::string& name) {
  static const std::set<std::string> kNames = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
                                               "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};
  return kNames.contains(name) || name.starts_with("fs.mqueue.");
}

void check_sysctl(const std::string& name, const HostConfig& host_config) {
  auto refuse = [&](const char* why) { throw Error(ErrorCode::kInvalidArgument, fmt::format("sysctl \"{}\" {}", name, why)); };
  // SECURITY: the name becomes a path below /proc/sys.
  if (name.find('/') != std::string::npos || name.find("..") != std::string::npos) {
    refuse("is not a name of words and dots");
  }
  if (is_of_ipc_namespace(name)) {
    if (host_config.ipc_mode == "host") {
      refuse("is not allowed with --ipc host: it would change the host");
    }
  } else if (name.starts_with("net.")) {
    if (host_config.network_mode == "host") {
      refuse("not allowed in host network namespace");
    }
  } else if (name == "kernel.domainname" || name == "kernel.hostname") {
    if (host_config.uts_mode == "host") {
      refuse("is not allowed with --uts host: it would change the host");
    }
  } else {
    refuse("is not in a separate kernel namespace");
  }
}

}  // namespace

oci::Resources resources_of(const HostConfig& host_config) {
  oci::Resources resources;
  if (host_config.memory > 0) {
    resources.memory_limit = host_config.memory;
    if (host_config.memory_swap != 0) {
      resources.memory_swap = host_config.memory_swap;
    } else if (swap_is_counted()) {
      resources.memory_swap = std::min(host_config.memory, std::numeric_limits<int64_t>::max() / 2) * 2;  // Docker's default
    }
  }
  if (host_config.memory_reservation > 0) {
    resources.memory_reservation = host_config.memory_reservation;
  }
  if (host_config.memory_swappiness) {
    resources.memory_swappiness = static_cast<uint64_t>(*host_config.memory_swappiness);
  }
  if (host_config.oom_kill_disable) {
    resources.disable_oom_killer = true;
  }
  if (host_config.cpu_shares > 0) {
    resources.cpu_shares = static_cast<uint64_t>(host_config.cpu_shares);
  }
  if (host_config.nano_cpus > 0) {
    resources.cpu_period = kDefaultPeriod;
    // Whole processors and the rest apart, so that no number of processors overflows.
    constexpr int64_t kNano = 1'000'000'000;
    auto period = static_cast<int64_t>(kDefaultPeriod);
    resources.cpu_quota = host_config.nano_cpus / kNano * period + host_config.nano_cpus % kNano * period / kNano;
  }
  if (host_config.cpu_quota != 0) {
    resources.cpu_quota = host_config.cpu_quota;
  }
  if (host_config.cpu_period > 0) {
    resources.cpu_period = static_cast<uint64_t>(host_config.cpu_period);
  }
  resources.cpuset_cpus = host_config.cpuset_cpus;
  resources.cpuset_mems = host_config.cpuset_mems;
  if (host_config.pids_limit > 0) {
    resources.pids_limit = host_config.pids_limit;
  }
  if (host_config.blkio_weight != 0) {
    resources.blkio_weight = host_config.blkio_weight;
  }
  return resources;
}

std::vector<oci::Rlimit> rlimits_of(const std::vector<Ulimit>& ulimits) {
  static const std::set<std::string> kNames = {"core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
                                               "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack",    "as"};
  std::vector<oci::Rlimit> limits;
  for (const Ulimit& ulimit : ulimits) {
    if (!kNames.contains(ulimit.name)) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid ulimit type: {}", ulimit.name));
    }
    oci::Rlimit limit{.type = "RLIMIT_" + ulimit.name, .soft = limit_value(ulimit.soft), .hard = limit_value(ulimit.hard)};
    std::transform(limit.type.begin(), limit.type.end(), limit.type.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (limit.soft > limit.hard) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("ulimit soft limit must be less than or equal to hard limit: {} > {}", ulimit.soft, ulimit.hard));
    }
    std::erase_if(limits, [&](const oci::Rlimit& other) { return other.type == limit.type; });
    limits.push_back(std::move(limit));
  }
  return limits;
}

std::map<std::string, std::string> sysctls_of(const HostConfig& host_config) {
  std::map<std::string, std::string> sysctls;
  if (host_config.network_mode != "host") {
    sysctls = oci::default_network_sysctls();
  }
  for (const auto& [name, value] : host_config.sysctls) {
    check_sysctl(name, host_config);
    sysctls[name] = value;
  }
  return sysctls;
}

}  // namespace bulkhead::engine
