#include "engine/container_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "engine/json_object.h"
#include "support/error.h"

namespace bulkhead::engine {

using nlohmann::json;

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Error not_supported(const std::string& what) {
  return {ErrorCode::kNotSupported, what + " is not supported by this engine yet"};
}

void read_healthcheck(JsonObject& object, ContainerConfig& config) {
  const json* value = object.find("Healthcheck");
  if (value == nullptr) {
    return;
  }
  JsonObject healthcheck(*value, "Healthcheck");
  std::optional<std::vector<std::string>> test;
  healthcheck.read("Test", test);
  config.no_healthcheck = test && !test->empty() && test->front() == "NONE";
  if (config.no_healthcheck) {
    return;
  }
  if (test && !test->empty()) {
    throw not_supported("Healthcheck (--health-cmd)");
  }
  healthcheck.refuse_rest();  // --health-interval and the like
}

void read_log_config(JsonObject& host, HostConfig& config) {
  const json* value = host.find("LogConfig");
  if (value == nullptr) {
    return;
  }
  JsonObject log(*value, host.path_of("LogConfig"));
  std::string type;
  log.read("Type", type);
  log.read("Config", config.log_options);
  log.refuse_rest();
  if (!type.empty()) {
    config.log_driver = type;
  }
  if (config.log_driver != "json-file" && config.log_driver != "none") {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("logger: no log driver named '{}' is registered: this engine has 'json-file' and 'none'", type));
  }
  for (const auto& [key, option] : config.log_options) {
    if (config.log_driver != "json-file" || (key != "max-size" && key != "max-file")) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("unknown log opt '{}' for {} log driver", key, config.log_driver));
    }
  }
}

void read_restart_policy(JsonObject& host, RestartPolicy& policy) {
  const json* value = host.find("RestartPolicy");
  if (value == nullptr) {
    return;
  }
  JsonObject object(*value, host.path_of("RestartPolicy"));
  std::string name;
  object.read("Name", name);
  object.read("MaximumRetryCount", policy.maximum_retry_count);
  object.refuse_rest();
  policy.name = name.empty() ? "no" : name;
  static const std::vector<std::string> kNames = {"no", "always", "unless-stopped", "on-failure"};
  if (std::find(kNames.begin(), kNames.end(), policy.name) == kNames.end()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid restart policy '{}'", policy.name));
  }
  if (policy.maximum_retry_count < 0) {
    throw Error(ErrorCode::kInvalidArgument, "invalid restart policy: maximum retry count cannot be negative");
  }
  if (policy.maximum_retry_count > 0 && policy.name != "on-failure") {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("maximum retry count cannot be used with restart policy '{}'", policy.name));
  }
}

MountPoint read_mount(const json& value, const std::string& path) {
  MountPoint mount;
  JsonObject object(value, path);
  object.read("Type", mount.type);
  object.read("Source", mount.source);
  object.read("Target", mount.target);
  object.read("ReadOnly", mount.read_only);
  object.ignore("Consistency");
  if (mount.type != "bind" && mount.type != "tmpfs") {
    throw not_supported(fmt::format("mount type '{}' (this engine has 'bind' and 'tmpfs')", mount.type));
  }
  if (const json* bind = object.find("BindOptions"); bind != nullptr && mount.type == "bind") {
    JsonObject options(*bind, path + ".BindOptions");
    options.read("Propagation", mount.propagation);
    options.read("CreateMountpoint", mount.create_source);
    options.read("NonRecursive", mount.non_recursive);
    options.refuse_rest();
  }
  if (const json* tmpfs = object.find("TmpfsOptions"); tmpfs != nullptr && mount.type == "tmpfs") {
    JsonObject options(*tmpfs, path + ".TmpfsOptions");
    options.read("SizeBytes", mount.tmpfs_size);
    options.read("Mode", mount.tmpfs_mode);
    options.refuse_rest();
  }
  object.refuse_rest();
  if (mount.target.empty() || mount.target[0] != '/') {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid mount config for type \"{}\": mount path must be absolute", mount.type));
  }
  if (mount.type == "bind" && (mount.source.empty() || mount.source[0] != '/')) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("invalid mount config for type \"bind\": mount source must be an absolute path: '{}'", mount.source));
  }
  return mount;
}

template <typename Item, typename Read>
void read_list(JsonObject& object, const char* key, std::vector<Item>& target, const Read& read) {
  const json* value = object.find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_array()) {
    throw Error(ErrorCode::kInvalidArgument, object.path_of(key) + " must be a list");
  }
  for (size_t i = 0; i < value->size(); ++i) {
    target.push_back(read((*value)[i], fmt::format("{}[{}]", object.path_of(key), i)));
  }
}

DeviceMapping read_device(const json& value, const std::string& path) {
  DeviceMapping device;
  JsonObject object(value, path);
  object.read("PathOnHost", device.path_on_host);
  object.read("PathInContainer", device.path_in_container);
  object.read("CgroupPermissions", device.cgroup_permissions);
  object.refuse_rest();
  return device;
}

Ulimit read_ulimit(const json& value, const std::string& path) {
  Ulimit limit;
  JsonObject object(value, path);
  object.read("Name", limit.name);
  object.read("Soft", limit.soft);
  object.read("Hard", limit.hard);
  object.refuse_rest();
  return limit;
}

/// A mode that names whose namespace is used: only the container's own or the host's are there.
void read_namespace_mode(JsonObject& object, const char* key, std::string& target, std::initializer_list<const char*> allowed) {
  object.read(key, target);
  if (target.empty() || std::find(allowed.begin(), allowed.end(), target) != allowed.end()) {
    return;
  }
  throw Error(ErrorCode::kNotSupported, fmt::format("{} '{}' is not supported by this engine yet: it has {}",
                                                    object.path_of(key), target, fmt::join(allowed, ", ")));
}

std::string read_isolation(JsonObject& object) {
  std::string asked;
  object.read("Isolation", asked);
  std::string isolation = asked.empty() ? "default" : lower(asked);
  if (isolation != "default" && isolation != "process" && isolation != "hyperv") {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid isolation '{}': it must be 'default', 'process' or 'hyperv'", asked));
  }
  return isolation;
}

void read_network_mode(JsonObject& object, HostConfig& config) {
  std::string mode;
  object.read("NetworkMode", mode);
  if (!mode.empty() && mode != "default") {
    config.network_mode = mode;
  }
  if (mode.starts_with("container:")) {
    throw not_supported("HostConfig.NetworkMode 'container:' (another container's network)");
  }
}

void read_resources(JsonObject& object, HostConfig& config) {
  object.read("Memory", config.memory);
  object.read("MemoryReservation", config.memory_reservation);
  object.read("MemorySwap", config.memory_swap);
  object.read("MemorySwappiness", config.memory_swappiness);
  // The client sends -1 for "not given".
  if (config.memory_swappiness == -1) {
    config.memory_swappiness.reset();
  }
  object.read("OomKillDisable", config.oom_kill_disable);
  object.read("NanoCpus", config.nano_cpus);
  object.read("CpuShares", config.cpu_shares);
  object.read("CpuQuota", config.cpu_quota);
  object.read("CpuPeriod", config.cpu_period);
  object.read("CpusetCpus", config.cpuset_cpus);
  object.read("CpusetMems", config.cpuset_mems);
  object.read("PidsLimit", config.pids_limit);
  object.read("BlkioWeight", config.blkio_weight);
  read_list(object, "Devices", config.devices, read_device);
  object.read("DeviceCgroupRules", config.device_cgroup_rules);
  read_list(object, "Ulimits", config.ulimits, read_ulimit);
}

/// "10G", "512m", "1048576".
int64_t parse_storage_size(const std::string& text) {
  constexpr std::string_view kUnits = "bkmgt";
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit = lower(std::string(end, text.data() + text.size()));
  if (unit.size() > 1 && (unit.ends_with("b"))) {
    unit.pop_back();
  }
  size_t power = unit.empty() ? 0 : kUnits.find(unit);
  if (error != std::errc() || number <= 0 || unit.size() > 1 || power == std::string_view::npos ||
      number > (int64_t{1} << 50) >> (10 * power)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid size '{}' in --storage-opt: use a number with k, m, g or t", text));
  }
  return number << (10 * power);
}

void read_storage_options(JsonObject& object, HostConfig& config) {
  std::map<std::string, std::string> options;
  object.read("StorageOpt", options);
  for (const auto& [name, value] : options) {
    if (name != "size") {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("unknown storage option '{}': there is 'size'", name));
    }
    config.storage_size = parse_storage_size(value);
  }
}

void read_wall(JsonObject& object, HostConfig& config) {
  read_storage_options(object, config);
  config.isolation = read_isolation(object);
  object.read("Privileged", config.privileged);
  object.read("ReadonlyRootfs", config.readonly_rootfs);
  object.read("CapAdd", config.cap_add);
  object.read("CapDrop", config.cap_drop);
  object.read("SecurityOpt", config.security_opt);
  object.read("GroupAdd", config.group_add);
  object.read("MaskedPaths", config.masked_paths);
  object.read("ReadonlyPaths", config.readonly_paths);
  object.read("Sysctls", config.sysctls);
  read_namespace_mode(object, "IpcMode", config.ipc_mode, {"private", "shareable", "none", "host"});
  read_namespace_mode(object, "PidMode", config.pid_mode, {"host"});
  read_namespace_mode(object, "UTSMode", config.uts_mode, {"host"});
  read_namespace_mode(object, "UsernsMode", config.userns_mode, {"host"});
  read_namespace_mode(object, "CgroupnsMode", config.cgroupns_mode, {"private", "host"});
  object.read("CgroupParent", config.cgroup_parent);
}

json list_or_null(const std::vector<std::string>& list) { return list.empty() ? json(nullptr) : json(list); }

json keys(const std::vector<std::string>& list) {
  json object = json::object();
  for (const std::string& key : list) {
    object[key] = json::object();
  }
  return object;
}

json resources_json(const HostConfig& config) {
  json devices = json::array();
  for (const DeviceMapping& device : config.devices) {
    devices.push_back({{"PathOnHost", device.path_on_host},
                       {"PathInContainer", device.path_in_container},
                       {"CgroupPermissions", device.cgroup_permissions}});
  }
  json ulimits = json::array();
  for (const Ulimit& limit : config.ulimits) {
    ulimits.push_back({{"Name", limit.name}, {"Soft", limit.soft}, {"Hard", limit.hard}});
  }
  return {
      {"CpuShares", config.cpu_shares},
      {"Memory", config.memory},
      {"NanoCpus", config.nano_cpus},
      {"CgroupParent", config.cgroup_parent},
      {"BlkioWeight", config.blkio_weight},
      {"CpuPeriod", config.cpu_period},
      {"CpuQuota", config.cpu_quota},
      {"CpuRealtimePeriod", 0},
      {"CpuRealtimeRuntime", 0},
      {"CpusetCpus", config.cpuset_cpus},
      {"CpusetMems", config.cpuset_mems},
      {"Devices", devices},
      {"DeviceCgroupRules", list_or_null(config.device_cgroup_rules)},
      {"DeviceRequests", nullptr},
      {"MemoryReservation", config.memory_reservation},
      {"MemorySwap", config.memory_swap},
      {"MemorySwappiness", config.memory_swappiness ? json(*config.memory_swappiness) : json(nullptr)},
      {"OomKillDisable", config.oom_kill_disable},
      {"PidsLimit", config.pids_limit == 0 ? json(nullptr) : json(config.pids_limit)},
      {"Ulimits", ulimits},
      {"CpuCount", 0},
      {"CpuPercent", 0},
      {"IOMaximumIOps", 0},
      {"IOMaximumBandwidth", 0},
  };
}

json to_json(const MountPoint& mount) {
  json value = {{"Type", mount.type}, {"Target", mount.target}};
  if (!mount.source.empty()) {
    value["Source"] = mount.source;
  }
  if (mount.read_only) {
    value["ReadOnly"] = true;
  }
  if (mount.type == "bind" && (!mount.propagation.empty() || mount.create_source || mount.non_recursive)) {
    value["BindOptions"] = {
        {"Propagation", mount.propagation}, {"CreateMountpoint", mount.create_source}, {"NonRecursive", mount.non_recursive}};
  }
  if (mount.type == "tmpfs" && (mount.tmpfs_size != 0 || mount.tmpfs_mode != 0)) {
    value["TmpfsOptions"] = {{"SizeBytes", mount.tmpfs_size}, {"Mode", mount.tmpfs_mode}};
  }
  return value;
}

}  // namespace

ContainerConfig parse_container_config(const json& value) {
  ContainerConfig config;
  JsonObject object(value, "");
  object.read("Hostname", config.hostname);
  object.read("Domainname", config.domainname);
  object.read("User", config.user);
  object.read("AttachStdin", config.attach_stdin);
  object.read("AttachStdout", config.attach_stdout);
  object.read("AttachStderr", config.attach_stderr);
  object.read_keys("ExposedPorts", config.exposed_ports);
  object.read("Tty", config.tty);
  object.read("OpenStdin", config.open_stdin);
  object.read("StdinOnce", config.stdin_once);
  object.read("Env", config.env);
  object.read_command("Cmd", config.cmd);
  object.read_command("Entrypoint", config.entrypoint);
  object.read("Image", config.image);
  object.read_keys("Volumes", config.volumes);
  object.read("WorkingDir", config.working_dir);
  object.read("MacAddress", config.mac_address);
  object.read("Labels", config.labels);
  object.read("StopSignal", config.stop_signal);
  object.read("StopTimeout", config.stop_timeout);
  read_healthcheck(object, config);
  for (const char* harmless : {"ArgsEscaped", "OnBuild", "Shell", "HostConfig", "NetworkingConfig", "Platform", "Name"}) {
    object.ignore(harmless);
  }
  object.refuse_rest();
  if (!config.mac_address.empty()) {
    throw not_supported("MacAddress (--mac-address)");
  }
  if (!config.working_dir.empty() && config.working_dir[0] != '/') {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the working directory '{}' is invalid, it needs to be an absolute path", config.working_dir));
  }
  return config;
}

HostConfig parse_host_config(const json& value) {
  HostConfig config;
  JsonObject object(value, "HostConfig");
  object.read("Binds", config.binds);
  read_list(object, "Mounts", config.mounts, read_mount);
  object.read("Tmpfs", config.tmpfs);
  read_log_config(object, config);
  read_network_mode(object, config);
  read_restart_policy(object, config.restart_policy);
  object.read("AutoRemove", config.auto_remove);
  object.read("Init", config.init);
  read_wall(object, config);
  object.read("Dns", config.dns);
  object.read("DnsOptions", config.dns_options);
  object.read("DnsSearch", config.dns_search);
  object.read("ExtraHosts", config.extra_hosts);
  object.read("OomScoreAdj", config.oom_score_adj);
  int64_t shm_size = 0;
  object.read("ShmSize", shm_size);
  config.shm_size = shm_size == 0 ? config.shm_size : shm_size;
  object.read("Annotations", config.annotations);
  read_resources(object, config);
  std::string runtime;
  object.read("Runtime", runtime);
  if (!runtime.empty() && runtime != "bulkhead" && runtime != "io.containerd.bulkhead.v2") {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("unknown or invalid runtime name: {}: this engine has 'bulkhead'", runtime));
  }
  // What these say is said to the client, or to another operating system.
  for (const char* harmless : {"ContainerIDFile", "ConsoleSize", "VolumeDriver"}) {
    object.ignore(harmless);
  }
  object.refuse_rest();
  return config;
}

json to_json(const ContainerConfig& config) {
  json value = {
      {"Hostname", config.hostname},
      {"Domainname", config.domainname},
      {"User", config.user},
      {"AttachStdin", config.attach_stdin},
      {"AttachStdout", config.attach_stdout},
      {"AttachStderr", config.attach_stderr},
      {"Tty", config.tty},
      {"OpenStdin", config.open_stdin},
      {"StdinOnce", config.stdin_once},
      {"Env", config.env},
      {"Cmd", config.cmd ? json(*config.cmd) : json(nullptr)},
      {"Image", config.image},
      {"Volumes", config.volumes.empty() ? json(nullptr) : keys(config.volumes)},
      {"WorkingDir", config.working_dir},
      {"Entrypoint", config.entrypoint ? json(*config.entrypoint) : json(nullptr)},
      {"OnBuild", nullptr},
      {"Labels", json(config.labels)},
  };
  if (!config.exposed_ports.empty()) {
    value["ExposedPorts"] = keys(config.exposed_ports);
  }
  if (!config.stop_signal.empty()) {
    value["StopSignal"] = config.stop_signal;
  }
  if (config.no_healthcheck) {
    value["Healthcheck"] = {{"Test", {"NONE"}}};
  }
  if (config.stop_timeout) {
    value["StopTimeout"] = *config.stop_timeout;
  }
  return value;
}

json to_json(const HostConfig& config) {
  json value = {
      {"Binds", list_or_null(config.binds)},
      {"ContainerIDFile", ""},
      {"LogConfig", {{"Type", config.log_driver}, {"Config", json(config.log_options)}}},
      {"NetworkMode", config.network_mode},
      {"PortBindings", json::object()},
      {"RestartPolicy",
       {{"Name", config.restart_policy.name}, {"MaximumRetryCount", config.restart_policy.maximum_retry_count}}},
      {"AutoRemove", config.auto_remove},
      {"VolumeDriver", ""},
      {"VolumesFrom", nullptr},
      {"CapAdd", list_or_null(config.cap_add)},
      {"CapDrop", list_or_null(config.cap_drop)},
      {"CgroupnsMode", config.cgroupns_mode},
      {"Dns", config.dns},
      {"DnsOptions", config.dns_options},
      {"DnsSearch", config.dns_search},
      {"ExtraHosts", list_or_null(config.extra_hosts)},
      {"GroupAdd", list_or_null(config.group_add)},
      {"IpcMode", config.ipc_mode},
      {"Cgroup", ""},
      {"Links", nullptr},
      {"OomScoreAdj", config.oom_score_adj},
      {"PidMode", config.pid_mode},
      {"Privileged", config.privileged},
      {"PublishAllPorts", false},
      {"ReadonlyRootfs", config.readonly_rootfs},
      {"SecurityOpt", list_or_null(config.security_opt)},
      {"UTSMode", config.uts_mode},
      {"UsernsMode", config.userns_mode},
      {"ShmSize", config.shm_size},
      {"Runtime", "bulkhead"},
      {"ConsoleSize", {0, 0}},
      {"Isolation", config.isolation},
  };
  value.update(resources_json(config));
  if (!config.tmpfs.empty()) {
    value["Tmpfs"] = config.tmpfs;
  }
  if (config.storage_size > 0) {
    value["StorageOpt"] = {{"size", std::to_string(config.storage_size)}};
  }
  if (!config.sysctls.empty()) {
    value["Sysctls"] = config.sysctls;
  }
  if (!config.annotations.empty()) {
    value["Annotations"] = config.annotations;
  }
  if (config.init) {
    value["Init"] = *config.init;
  }
  value["MaskedPaths"] = config.masked_paths ? json(*config.masked_paths) : json(nullptr);
  value["ReadonlyPaths"] = config.readonly_paths ? json(*config.readonly_paths) : json(nullptr);
  if (!config.mounts.empty()) {
    value["Mounts"] = json::array();
    for (const MountPoint& mount : config.mounts) {
      value["Mounts"].push_back(to_json(mount));
    }
  }
  return value;
}

}  // namespace bulkhead::engine
