// oci::Resources as writes to cgroup files: cgroup-v1/*.rst and cgroup-v2.rst of the kernel's documentation.
#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "linux/cgroup.h"
#include "linux/cgroup_layout.h"
#include "linux/device_filter.h"
#include "oci/cgroup_v2_weights.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::linux {

namespace {

using Path = std::filesystem::path;

std::string limit_text(int64_t value, const char* unlimited) { return value < 0 ? unlimited : std::to_string(value); }

Path need(const Path& folder, const char* controller) {
  if (folder.empty()) {
    throw Error(ErrorCode::kNotSupported, fmt::format("this host has no {} cgroup controller", controller));
  }
  return folder;
}

void write_file(const Path& path, const std::string& value) {
  if (::access(path.c_str(), F_OK) != 0) {
    throw Error(ErrorCode::kNotSupported, fmt::format("this host's kernel has no '{}'", path.native()));
  }
  write_existing(path, value);
}

// ---- v1

void apply_memory_v1(const Path& folder, const oci::Resources& resources) {
  const Path limit = folder / "memory.limit_in_bytes";
  const Path both = folder / "memory.memsw.limit_in_bytes";
  const auto& memory = resources.memory_limit;
  const auto& swap = resources.memory_swap;
  // The kernel keeps limit <= memsw at every moment: which one goes first depends on the direction.
  bool swap_first = false;
  if (memory && swap && *swap != 0) {
    uint64_t current = std::stoull(read_file(both));
    swap_first = *swap < 0 || static_cast<uint64_t>(*swap) > current;
  }
  const auto write_swap = [&] {
    if (swap && *swap != 0) {
      write_file(both, std::to_string(*swap));
    }
  };
  if (swap_first) {
    write_swap();
  }
  if (memory && *memory != 0) {
    write_file(limit, std::to_string(*memory));
  }
  if (!swap_first) {
    write_swap();
  }
  if (resources.memory_reservation && *resources.memory_reservation != 0) {
    write_file(folder / "memory.soft_limit_in_bytes", std::to_string(*resources.memory_reservation));
  }
  if (resources.memory_swappiness) {
    write_file(folder / "memory.swappiness", std::to_string(*resources.memory_swappiness));
  }
  if (resources.disable_oom_killer.value_or(false)) {
    write_file(folder / "memory.oom_control", "1");
  }
}

void apply_cpu_v1(const Path& folder, const oci::Resources& resources) {
  if (resources.cpu_shares && *resources.cpu_shares != 0) {
    write_file(folder / "cpu.shares", std::to_string(*resources.cpu_shares));
  }
  if (resources.cpu_period && *resources.cpu_period != 0) {
    write_file(folder / "cpu.cfs_period_us", std::to_string(*resources.cpu_period));
  }
  if (resources.cpu_quota && *resources.cpu_quota != 0) {
    write_file(folder / "cpu.cfs_quota_us", std::to_string(*resources.cpu_quota));
  }
}

std::string device_rule_text(const oci::DeviceRule& rule) {
  const auto number = [](const std::optional<int64_t>& value) { return value ? std::to_string(*value) : std::string("*"); };
  return fmt::format("{} {}:{} {}", rule.type, number(rule.major), number(rule.minor), rule.access);
}

bool is_everything(const oci::DeviceRule& rule) {
  return rule.type == 'a' && !rule.major && !rule.minor && rule.access.size() == 3;
}

void apply_devices_v1(const Path& folder, const std::vector<oci::DeviceRule>& rules) {
  for (const oci::DeviceRule& rule : rules) {
    const Path file = folder / (rule.allow ? "devices.allow" : "devices.deny");
    if (is_everything(rule)) {
      write_existing(file, "a");
      continue;
    }
    oci::DeviceRule each = rule;
    for (char type : {'b', 'c'}) {  // the kernel reads 'a' as everything, whatever follows it
      if (rule.type == 'a' || rule.type == type) {
        each.type = type;
        write_existing(file, device_rule_text(each));
      }
    }
  }
}

void write_weight(const Path& folder, const char* plain, const char* bfq, uint64_t plain_value, uint64_t bfq_value) {
  if (::access((folder / plain).c_str(), F_OK) == 0) {
    write_existing(folder / plain, std::to_string(plain_value));
  } else {
    write_file(folder / bfq, std::to_string(bfq_value));
  }
}

// ---- v2

void apply_memory_v2(const Path& folder, const oci::Resources& resources) {
  const auto& memory = resources.memory_limit;
  if (memory && *memory != 0) {
    write_file(folder / "memory.max", limit_text(*memory, "max"));
  }
  if (resources.memory_swap && *resources.memory_swap != 0) {
    int64_t swap = *resources.memory_swap;
    if (swap > 0) {  // the specification's value is memory plus swap, v2's is swap alone
      if (!memory || *memory <= 0 || swap < *memory) {
        throw Error(ErrorCode::kInvalidArgument, "'memory.swap' needs a 'memory.limit' that is not larger");
      }
      swap -= *memory;
    }
    write_file(folder / "memory.swap.max", limit_text(swap, "max"));
  }
  if (resources.memory_reservation && *resources.memory_reservation != 0) {
    write_file(folder / "memory.low", limit_text(*resources.memory_reservation, "max"));
  }
  if (resources.memory_swappiness) {
    throw Error(ErrorCode::kNotSupported, "'memory.swappiness' does not exist in cgroup v2");
  }
  if (resources.disable_oom_killer.value_or(false)) {
    throw Error(ErrorCode::kNotSupported, "'memory.disableOOMKiller' does not exist in cgroup v2");
  }
}

void apply_cpu_v2(const Path& folder, const oci::Resources& resources) {
  if (resources.cpu_shares && *resources.cpu_shares != 0) {
    write_file(folder / "cpu.weight", std::to_string(oci::cpu_weight(*resources.cpu_shares)));
  }
  bool quota = resources.cpu_quota && *resources.cpu_quota != 0;
  bool period = resources.cpu_period && *resources.cpu_period != 0;
  if (quota || period) {
    std::string text = quota ? limit_text(*resources.cpu_quota, "max") : "max";
    if (!quota) {  // keep the quota that is set
      std::string current = read_file(folder / "cpu.max");
      text = current.substr(0, current.find(' '));
    }
    write_file(folder / "cpu.max", period ? fmt::format("{} {}", text, *resources.cpu_period) : text);
  }
}

void apply_unified(const Path& folder, const std::map<std::string, std::string>& files) {
  for (const auto& [name, value] : files) {
    // SECURITY: a plain file name of this folder, and none that would move processes.
    if (name.find('/') != std::string::npos || name.starts_with("cgroup.") || name.find('.') == std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'linux.resources.unified' can't set '{}'", name));
    }
    write_file(folder / name, value);
  }
}

void apply_v2(const Path& folder, const oci::Resources& resources) {
  apply_memory_v2(folder, resources);
  apply_cpu_v2(folder, resources);
  if (resources.pids_limit && *resources.pids_limit != 0) {
    write_file(folder / "pids.max", limit_text(*resources.pids_limit, "max"));
  }
  if (!resources.cpuset_cpus.empty()) {
    write_file(folder / "cpuset.cpus", resources.cpuset_cpus);
  }
  if (!resources.cpuset_mems.empty()) {
    write_file(folder / "cpuset.mems", resources.cpuset_mems);
  }
  if (resources.blkio_weight && *resources.blkio_weight != 0) {
    uint64_t weight = *resources.blkio_weight;
    write_weight(folder, "io.weight", "io.bfq.weight", oci::io_weight(weight), weight);  // bfq keeps version 1's range
  }
  if (!resources.devices.empty()) {
    attach_device_filter(folder, resources.devices);
  }
  apply_unified(folder, resources.unified);
}

}  // namespace

void Cgroup::apply(const oci::Resources& resources) const {
  if (cgroup_layout().is_unified()) {
    apply_v2(folder(""), resources);
    return;
  }
  if (!resources.unified.empty()) {
    throw Error(ErrorCode::kNotSupported, "'linux.resources.unified' needs a host with cgroup v2 only");
  }
  if (resources.memory_limit || resources.memory_swap || resources.memory_reservation || resources.memory_swappiness ||
      resources.disable_oom_killer.value_or(false)) {
    apply_memory_v1(need(folder("memory"), "memory"), resources);
  }
  if (resources.cpu_shares || resources.cpu_period || resources.cpu_quota) {
    apply_cpu_v1(need(folder("cpu"), "cpu"), resources);
  }
  if (resources.pids_limit && *resources.pids_limit != 0) {
    write_file(need(folder("pids"), "pids") / "pids.max", limit_text(*resources.pids_limit, "max"));
  }
  if (!resources.cpuset_cpus.empty()) {
    write_file(need(folder("cpuset"), "cpuset") / "cpuset.cpus", resources.cpuset_cpus);
  }
  if (!resources.cpuset_mems.empty()) {
    write_file(need(folder("cpuset"), "cpuset") / "cpuset.mems", resources.cpuset_mems);
  }
  if (resources.blkio_weight && *resources.blkio_weight != 0) {
    write_weight(need(folder("blkio"), "blkio"), "blkio.weight", "blkio.bfq.weight", *resources.blkio_weight,
                 *resources.blkio_weight);
  }
  if (!resources.devices.empty()) {
    apply_devices_v1(need(folder("devices"), "devices"), resources.devices);
  }
}

}  // namespace bulkhead::linux
