#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/create_options.h"
#include "cli/environment.h"
#include "cli/mounts.h"
#include "cli/quantities.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

[[noreturn]] void throw_bad(std::string_view option, std::string_view text, std::string_view why) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid argument '{}' for {}: {}", text, option, why));
}

json string_map(const std::vector<std::string>& texts) {
  json map = json::object();
  for (const std::string& text : texts) {
    auto [key, value] = key_and_value(text);
    map[key] = value;
  }
  return map;
}

json ulimits(const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) {
    auto [name, limits] = key_and_value(text);
    long long soft = 0;
    long long hard = 0;
    int used = 0;
    int count = sscanf(limits.c_str(), "%lld%n:%lld%n", &soft, &used, &hard, &used);
    if (count < 1 || static_cast<size_t>(used) != limits.size()) {
      throw_bad("--ulimit", text, "write name=soft[:hard] with whole numbers");
    }
    hard = count == 1 ? soft : hard;
    if (hard != -1 && (soft > hard || soft == -1)) {
      throw_bad("--ulimit", text, "the soft limit must not be above the hard limit");
    }
    list.push_back({{"Name", name}, {"Soft", soft}, {"Hard", hard}});
  }
  return list;
}

// "name:address" or "name=address", the address in brackets or not: as "name:address".
json extra_hosts(const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) {
    size_t mark = text.find_first_of(":=");
    if (mark == std::string::npos || mark == 0 || mark + 1 == text.size()) {
      throw_bad("--add-host", text, "write name:address");
    }
    std::string address = text.substr(mark + 1);
    if (address.starts_with('[') && address.ends_with(']')) {
      address = address.substr(1, address.size() - 2);
    }
    list.push_back(text.substr(0, mark) + ":" + address);
  }
  return list;
}

json addresses(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    in6_addr parsed{};
    if (inet_pton(AF_INET, text.c_str(), &parsed) != 1 && inet_pton(AF_INET6, text.c_str(), &parsed) != 1) {
      throw_bad("--dns", text, "it is no IP address");
    }
  }
  return texts;
}

json restart_policy(const std::string& text) {
  size_t colon = text.find(':');
  json policy = {{"Name", text.substr(0, colon)}, {"MaximumRetryCount", 0}};
  if (colon != std::string::npos) {
    std::string count = text.substr(colon + 1);
    if (count.empty() || count.size() > 9 || count.find_first_not_of("0123456789") != std::string::npos) {
      throw_bad("--restart", text, "the count of retries must be a whole number");
    }
    policy["MaximumRetryCount"] = std::stoi(count);
  }
  return policy;
}

std::string read_profile(const std::string& path) {
  try {
    return read_file(path, 4UL << 20);
  } catch (const Error& error) {
    throw error.wrap("--security-opt seccomp");
  }
}

// A profile is read here and sent as text: the engine may be elsewhere, and must not open files that a client names.
void add_security_options(json& host, const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) {
    size_t mark = text.find_first_of("=:");
    std::string key = text.substr(0, mark);
    std::string value = mark == std::string::npos ? "" : text.substr(mark + 1);
    if (key == "systempaths" && value == "unconfined") {
      host["MaskedPaths"] = json::array();
      host["ReadonlyPaths"] = json::array();
      continue;
    }
    if (key != "seccomp" || value == "unconfined" || value == "builtin") {
      list.push_back(text);
      continue;
    }
    json profile = json::parse(read_profile(value), nullptr, false);
    if (profile.is_discarded()) {
      throw_bad("--security-opt", text, fmt::format("the file '{}' is no JSON", value));
    }
    list.push_back("seccomp=" + profile.dump());
  }
  host["SecurityOpt"] = std::move(list);
}

void add_volumes(json& body, json& host, const CreateOptions& options) {
  for (const std::string& text : options.volume) {
    if (text.find(':') == std::string::npos) {
      body["Volumes"][text] = json::object();
    } else {
      host["Binds"].push_back(absolute_bind(text));
    }
  }
  for (const std::string& text : options.mount) {
    host["Mounts"].push_back(parse_mount(text));
  }
  for (const std::string& text : options.tmpfs) {
    size_t colon = text.find(':');
    host["Tmpfs"][text.substr(0, colon)] = colon == std::string::npos ? "" : text.substr(colon + 1);
  }
  host["Devices"] = json::array();
  for (const std::string& text : options.device) {
    host["Devices"].push_back(parse_device(text));
  }
}

std::string with_protocol(const std::string& port) { return port.find('/') == std::string::npos ? port + "/tcp" : port; }

// "[address:][host port:]container port[/protocol]"
void add_ports(json& body, json& host, const CreateOptions& options) {
  for (const std::string& port : options.expose) {
    body["ExposedPorts"][with_protocol(port)] = json::object();
  }
  for (const std::string& text : options.publish) {
    size_t last = text.rfind(':');
    std::string inside = with_protocol(last == std::string::npos ? text : text.substr(last + 1));
    std::string outside = last == std::string::npos ? "" : text.substr(0, last);
    size_t address_end = outside.rfind(':');
    std::string address = address_end == std::string::npos ? "" : outside.substr(0, address_end);
    std::string host_port = address_end == std::string::npos ? outside : outside.substr(address_end + 1);
    body["ExposedPorts"][inside] = json::object();
    host["PortBindings"][inside].push_back({{"HostIp", address}, {"HostPort", host_port}});
  }
}

int64_t size_of(std::string_view option, const std::string& text) {
  try {
    return parse_size(text);
  } catch (const Error& error) {
    throw error.wrap(option);
  }
}

void add_resources(json& host, const CreateOptions& options) {
  auto set_size = [&](const char* key, std::string_view option, const std::string& text) {
    if (!text.empty()) {
      host[key] = text == "-1" && option == "--memory-swap" ? -1 : size_of(option, text);
    }
  };
  set_size("Memory", "--memory", options.memory);
  set_size("MemoryReservation", "--memory-reservation", options.memory_reservation);
  set_size("MemorySwap", "--memory-swap", options.memory_swap);
  set_size("ShmSize", "--shm-size", options.shm_size);
  if (!options.cpus.empty()) {
    host["NanoCpus"] = parse_cpus(options.cpus);
  }
  auto set_number = [&](const char* key, const std::optional<int64_t>& number) {
    if (number) {
      host[key] = *number;
    }
  };
  set_number("PidsLimit", options.pids_limit);
  set_number("CpuShares", options.cpu_shares);
  set_number("CpuPeriod", options.cpu_period);
  set_number("CpuQuota", options.cpu_quota);
  set_number("MemorySwappiness", options.memory_swappiness);
  set_number("OomScoreAdj", options.oom_score_adj);
  set_number("BlkioWeight", options.blkio_weight);
  host["CpusetCpus"] = options.cpuset_cpus;
  host["CpusetMems"] = options.cpuset_mems;
  host["CgroupParent"] = options.cgroup_parent;
  host["OomKillDisable"] = options.oom_kill_disable;
  host["Ulimits"] = ulimits(options.ulimit);
}

void add_streams(json& body, const CreateOptions& options, Attached attached) {
  auto named = [&](std::string_view stream) {
    return std::any_of(options.attach.begin(), options.attach.end(), [&](std::string text) {
      std::transform(text.begin(), text.end(), text.begin(), [](unsigned char letter) { return std::tolower(letter); });
      return text == stream;
    });
  };
  bool all = options.attach.empty();
  bool attach = attached == Attached::kYes;
  bool in = attach && options.interactive && (all || named("stdin"));
  body["AttachStdin"] = in;
  body["AttachStdout"] = attach && (all || named("stdout"));
  body["AttachStderr"] = attach && (all || named("stderr"));
  body["OpenStdin"] = options.interactive;
  body["StdinOnce"] = in;
  body["Tty"] = options.tty;
}

json host_config(const CreateOptions& options) {
  json host = {{"AutoRemove", options.remove},
               {"Privileged", options.privileged},
               {"ReadonlyRootfs", options.read_only},
               {"NetworkMode", options.network},
               {"Isolation", options.isolation},
               {"IpcMode", options.ipc},
               {"PidMode", options.pid},
               {"UTSMode", options.uts},
               {"UsernsMode", options.userns},
               {"CgroupnsMode", options.cgroupns},
               {"VolumeDriver", options.volume_driver},
               {"PublishAllPorts", options.publish_all},
               {"CapAdd", options.cap_add},
               {"CapDrop", options.cap_drop},
               {"GroupAdd", options.group_add},
               {"Dns", addresses(options.dns)},
               {"DnsOptions", options.dns_option},
               {"DnsSearch", options.dns_search},
               {"DeviceCgroupRules", options.device_cgroup_rule},
               {"ExtraHosts", extra_hosts(options.add_host)},
               {"Sysctls", string_map(options.sysctl)},
               {"LogConfig", {{"Type", options.log_driver}, {"Config", string_map(options.log_opt)}}},
               {"RestartPolicy", restart_policy(options.restart.empty() ? "no" : options.restart)}};
  auto set_list = [&](const char* key, const std::vector<std::string>& list) {
    if (!list.empty()) {
      host[key] = list;
    }
  };
  set_list("VolumesFrom", options.volumes_from);
  set_list("Links", options.link);
  if (!options.annotation.empty()) {
    host["Annotations"] = string_map(options.annotation);
  }
  if (!options.storage_opt.empty()) {
    host["StorageOpt"] = string_map(options.storage_opt);
  }
  if (!options.runtime.empty()) {
    host["Runtime"] = options.runtime;
  }
  if (options.init) {
    host["Init"] = *options.init;
  }
  return host;
}

}  // namespace

json create_body(const CreateOptions& options, const std::vector<std::string>& arguments, Attached attached) {
  if (options.remove && !options.restart.empty() && options.restart != "no") {
    throw Error(ErrorCode::kInvalidArgument, "conflicting options: --restart and --rm; choose one");
  }
  json body = {{"Image", arguments.front()},       {"User", options.user},
               {"WorkingDir", options.workdir},    {"Hostname", options.hostname},
               {"Domainname", options.domainname}, {"Env", environment(options.env_file, options.env)}};
  if (arguments.size() > 1) {
    body["Cmd"] = std::vector<std::string>(arguments.begin() + 1, arguments.end());
  }
  if (options.entrypoint) {
    // docker's clients send [""] to clear the image's entrypoint; an empty list would mean the same as none.
    body["Entrypoint"] = json::array({*options.entrypoint});
  }
  std::vector<std::string> labels;
  for (const std::string& path : options.label_file) {
    std::vector<std::string> lines = lines_of_file(path);
    labels.insert(labels.end(), lines.begin(), lines.end());
  }
  labels.insert(labels.end(), options.label.begin(), options.label.end());
  body["Labels"] = string_map(labels);
  if (!options.stop_signal.empty()) {
    body["StopSignal"] = options.stop_signal;
  }
  if (options.stop_timeout) {
    body["StopTimeout"] = *options.stop_timeout;
  }
  if (!options.mac_address.empty()) {
    body["MacAddress"] = options.mac_address;
  }
  add_streams(body, options, attached);
  json host = host_config(options);
  add_security_options(host, options.security_opt);
  add_volumes(body, host, options);
  add_ports(body, host, options);
  add_resources(host, options);
  body["HostConfig"] = std::move(host);
  if (!options.ip.empty()) {
    body["NetworkingConfig"]["EndpointsConfig"][options.network]["IPAMConfig"]["IPv4Address"] = options.ip;
  }
  return body;
}

}  // namespace bulkhead::cli
