// The `linux.resources` section: config-linux.md#control-groups.
#include "oci/json_reader.h"
#include "oci/spec_sections.h"

namespace bulkhead::oci {

namespace {

using Json = nlohmann::json;

DeviceRule read_device_rule(const JsonReader& reader) {
  DeviceRule rule;
  std::string type = "a";
  reader.require("allow", rule.allow);
  reader.read("type", type);
  if (type.empty()) {
    type = "a";
  }
  if (type != "a" && type != "b" && type != "c") {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not one of a, b, c: '{}'", reader.path("type"), type));
  }
  rule.type = type[0];
  reader.read("major", rule.major);
  reader.read("minor", rule.minor);
  // -1 is the specification's older word for "any" (and what Docker writes).
  if (rule.major && *rule.major < 0) {
    rule.major.reset();
  }
  if (rule.minor && *rule.minor < 0) {
    rule.minor.reset();
  }
  reader.read("access", rule.access);
  if (rule.access.empty()) {
    rule.access = "rwm";
  }
  if (rule.access.find_first_not_of("rwm") != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not made of r, w, m: '{}'", reader.path("access"), rule.access));
  }
  return rule;
}

void read_memory(const JsonReader& reader, Resources& resources) {
  reader.read("limit", resources.memory_limit);
  reader.read("reservation", resources.memory_reservation);
  reader.read("swap", resources.memory_swap);
  reader.read("swappiness", resources.memory_swappiness);
  reader.read("disableOOMKiller", resources.disable_oom_killer);
  // `kernel` and `kernelTCP` no longer exist in Linux (5.16), and `useHierarchy` is how it always is: nothing to enforce.
}

void read_cpu(const JsonReader& reader, Resources& resources) {
  reader.read("shares", resources.cpu_shares);
  reader.read("quota", resources.cpu_quota);
  reader.read("period", resources.cpu_period);
  reader.read("cpus", resources.cpuset_cpus);
  reader.read("mems", resources.cpuset_mems);
  for (const char* key : {"realtimeRuntime", "realtimePeriod", "burst", "idle"}) {
    int64_t value = 0;
    reader.read(key, value);
    if (value != 0) {  // 0 is how Docker and containerd write "not set"
      reader.refuse(key);
    }
  }
}

void read_block_io(const JsonReader& reader, Resources& resources) {
  reader.read("weight", resources.blkio_weight);
  for (const char* key : {"weightDevice", "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
                          "throttleWriteIOPSDevice"}) {
    reader.refuse(key);
  }
}

Json write_device_rule(const DeviceRule& rule) {
  Json json = {{"allow", rule.allow}, {"type", std::string(1, rule.type)}, {"access", rule.access}};
  put_if_set(json, "major", rule.major);
  put_if_set(json, "minor", rule.minor);
  return json;
}

Json write_memory(const Resources& resources) {
  Json json = Json::object();
  put_if_set(json, "limit", resources.memory_limit);
  put_if_set(json, "reservation", resources.memory_reservation);
  put_if_set(json, "swap", resources.memory_swap);
  put_if_set(json, "swappiness", resources.memory_swappiness);
  put_if_set(json, "disableOOMKiller", resources.disable_oom_killer);
  return json;
}

Json write_cpu(const Resources& resources) {
  Json json = Json::object();
  put_if_set(json, "shares", resources.cpu_shares);
  put_if_set(json, "quota", resources.cpu_quota);
  put_if_set(json, "period", resources.cpu_period);
  put_unless_empty(json, "cpus", resources.cpuset_cpus);
  put_unless_empty(json, "mems", resources.cpuset_mems);
  return json;
}

}  // namespace

Resources read_resources(const JsonReader& reader) {
  Resources resources;
  reader.each("devices", [&](const JsonReader& rule) { resources.devices.push_back(read_device_rule(rule)); });
  reader.object("memory", [&](const JsonReader& memory) { read_memory(memory, resources); });
  reader.object("cpu", [&](const JsonReader& cpu) { read_cpu(cpu, resources); });
  reader.object("pids", [&](const JsonReader& pids) { pids.read("limit", resources.pids_limit); });
  reader.object("blockIO", [&](const JsonReader& block) { read_block_io(block, resources); });
  reader.read("unified", resources.unified);
  for (const char* key : {"network", "hugepageLimits", "rdma"}) {
    reader.refuse(key);
  }
  return resources;
}

nlohmann::json write_resources(const Resources& resources) {
  Json json = Json::object();
  for (const DeviceRule& rule : resources.devices) {
    json["devices"].push_back(write_device_rule(rule));
  }
  put_unless_empty(json, "memory", write_memory(resources));
  put_unless_empty(json, "cpu", write_cpu(resources));
  if (resources.pids_limit) {
    json["pids"] = {{"limit", *resources.pids_limit}};
  }
  if (resources.blkio_weight) {
    json["blockIO"] = {{"weight", *resources.blkio_weight}};
  }
  put_unless_empty(json, "unified", resources.unified);
  return json;
}

}  // namespace bulkhead::oci
