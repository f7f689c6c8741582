// What a client asks for when it creates a container: the Engine API's ContainerConfig and HostConfig as data, with their JSON.
//
// Parsing is the place where a feature that isn't there is refused: an option with a value that would change the container
// and that this engine does not implement throws kNotSupported naming the option; wrong types throw kInvalidArgument naming
// the property. Null, empty, zero and false values of unknown properties are accepted: clients send them all.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::engine {

struct ContainerConfig {
  std::string hostname, domainname, user, image, working_dir, stop_signal, mac_address;
  bool attach_stdin = false, attach_stdout = true, attach_stderr = true;
  bool tty = false, open_stdin = false, stdin_once = false;
  std::optional<int> stop_timeout;  // seconds
  bool no_healthcheck = false;      // --no-healthcheck: the image's isn't wanted
  std::vector<std::string> env;
  // Absent: take the image's. An empty list that is present: `--entrypoint ""` clears the image's entrypoint and command.
  std::optional<std::vector<std::string>> cmd, entrypoint;
  std::map<std::string, std::string> labels;
  std::vector<std::string> exposed_ports;  // "80/tcp"
  std::vector<std::string> volumes;        // container paths of anonymous volumes
};

struct DeviceMapping {
  std::string path_on_host, path_in_container, cgroup_permissions;
};

struct Ulimit {
  std::string name;  // "nofile"
  int64_t soft = 0, hard = 0;
};

/// HostConfig.Mounts (`--mount`), of type "bind" or "tmpfs".
struct MountPoint {
  std::string type, source, target;
  bool read_only = false;
  std::string propagation;     // bind
  bool create_source = false;  // bind: CreateMountpoint
  bool non_recursive = false;  // bind
  int64_t tmpfs_size = 0;      // bytes
  uint32_t tmpfs_mode = 0;
};

struct RestartPolicy {
  std::string name = "no";  // "no", "always", "unless-stopped", "on-failure"
  int maximum_retry_count = 0;
};

struct HostConfig {
  std::vector<std::string> binds;  // "src:dst[:options]", as the client sent them
  std::vector<MountPoint> mounts;
  std::map<std::string, std::string> tmpfs;  // path -> options
  std::string log_driver = "json-file";      // or "none"
  std::map<std::string, std::string> log_options;
  std::string network_mode = "bridge";  // "bridge", "host", "none" after parsing ("default" becomes "bridge")
  RestartPolicy restart_policy;
  bool auto_remove = false, privileged = false, readonly_rootfs = false;
  std::optional<bool> init;
  int64_t storage_size = 0;           // --storage-opt size, bytes; 0: not limited
  std::string isolation = "default";  // lower case after parsing: "default", "process", "hyperv"
  std::vector<std::string> cap_add, cap_drop, security_opt, group_add;
  std::vector<std::string> dns, dns_options, dns_search, extra_hosts;
  std::string ipc_mode, pid_mode, uts_mode, cgroupns_mode, userns_mode, cgroup_parent;  // "", "private", "host"
  int oom_score_adj = 0;
  int64_t shm_size = 64LL << 20;  // bytes
  std::map<std::string, std::string> sysctls, annotations;
  std::optional<std::vector<std::string>> masked_paths, readonly_paths;
  // Resources; 0 or absent: not limited. Sizes in bytes.
  int64_t memory = 0, memory_reservation = 0, memory_swap = 0;  // memory_swap: memory plus swap, -1 unlimited
  std::optional<int64_t> memory_swappiness;
  bool oom_kill_disable = false;
  int64_t nano_cpus = 0, cpu_shares = 0, cpu_quota = 0, cpu_period = 0;
  std::string cpuset_cpus, cpuset_mems;
  int64_t pids_limit = 0;  // 0 and -1: unlimited
  uint16_t blkio_weight = 0;
  std::vector<DeviceMapping> devices;
  std::vector<std::string> device_cgroup_rules;
  std::vector<Ulimit> ulimits;
};

ContainerConfig parse_container_config(const nlohmann::json& json);
HostConfig parse_host_config(const nlohmann::json& json);
/// As `inspect` shows them: every property that Docker's own answer has.
nlohmann::json to_json(const ContainerConfig& config);
nlohmann::json to_json(const HostConfig& config);

}  // namespace bulkhead::engine
