// The options that `run` and `create` share, and the request they become. Pure but for files that an option names.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/options.h"

namespace bulkhead::cli {

/// As written on the command line; one member an option.
struct CreateOptions {
  using List = std::vector<std::string>;
  bool interactive = false, tty = false, read_only = false, privileged = false, remove = false, oom_kill_disable = false;
  bool publish_all = false, quiet = false;
  std::optional<bool> init;
  std::string name, user, workdir, hostname, domainname, stop_signal, network = "default", isolation, platform, cidfile;
  std::string memory, memory_reservation, memory_swap, cpus, cpuset_cpus, cpuset_mems, shm_size, restart, log_driver;
  std::string ipc, pid, uts, userns, cgroupns, cgroup_parent, runtime, mac_address, ip, volume_driver;
  std::string pull = "missing";
  std::optional<std::string> entrypoint;
  std::optional<int64_t> pids_limit, stop_timeout, cpu_shares, cpu_period, cpu_quota, memory_swappiness, oom_score_adj;
  std::optional<int64_t> blkio_weight;
  List attach, env, env_file, volume, mount, tmpfs, cap_add, cap_drop, security_opt, add_host, label, label_file, ulimit;
  List device, device_cgroup_rule, dns, dns_option, dns_search, group_add, sysctl, annotation, log_opt, expose, publish;
  List volumes_from, link, storage_opt;
};

void add_create_options(Options& options, CreateOptions& target);

enum class Attached { kYes, kNo };
/// The body of POST /containers/create for `arguments` = image, command... Throws kInvalidArgument naming the option.
nlohmann::json create_body(const CreateOptions& options, const std::vector<std::string>& arguments, Attached attached);

}  // namespace bulkhead::cli
