// The `linux` section: config-linux.md, but its resources and seccomp.
#include "oci/json_reader.h"
#include "oci/spec_sections.h"

namespace bulkhead::oci {

namespace {

using Json = nlohmann::json;

IdMapping read_mapping(const JsonReader& reader) {
  IdMapping mapping;
  reader.require("containerID", mapping.container_id);
  reader.require("hostID", mapping.host_id);
  reader.require("size", mapping.size);
  return mapping;
}

Device read_device(const JsonReader& reader) {
  Device device;
  std::string type;
  reader.require("path", device.path);
  reader.require("type", type);
  if (type != "c" && type != "b" && type != "p" && type != "u") {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not one of c, b, u, p: '{}'", reader.path("type"), type));
  }
  device.type = type[0];
  reader.read("major", device.major);
  reader.read("minor", device.minor);
  reader.read("fileMode", device.file_mode);
  reader.read("uid", device.uid);
  reader.read("gid", device.gid);
  return device;
}

// What this runtime doesn't implement and what would change confinement.
void refuse_unsupported(const JsonReader& reader) {
  for (const char* key : {"intelRdt", "personality", "timeOffsets", "netDevices", "memoryPolicy"}) {
    reader.refuse(key);
  }
}

Json write_device(const Device& device) {
  Json json = {{"path", device.path}, {"type", std::string(1, device.type)}, {"major", device.major}, {"minor", device.minor}};
  put_if_set(json, "fileMode", device.file_mode);
  put_if_set(json, "uid", device.uid);
  put_if_set(json, "gid", device.gid);
  return json;
}

Json write_mappings(const std::vector<IdMapping>& mappings) {
  Json json = Json::array();
  for (const IdMapping& mapping : mappings) {
    json.push_back({{"containerID", mapping.container_id}, {"hostID", mapping.host_id}, {"size", mapping.size}});
  }
  return json;
}

}  // namespace

Linux read_linux(const JsonReader& reader) {
  Linux section;
  reader.each("namespaces", [&](const JsonReader& entry) {
    Namespace& name_space = section.namespaces.emplace_back();
    entry.require("type", name_space.type);
    entry.read("path", name_space.path);
  });
  reader.each("uidMappings", [&](const JsonReader& mapping) { section.uid_mappings.push_back(read_mapping(mapping)); });
  reader.each("gidMappings", [&](const JsonReader& mapping) { section.gid_mappings.push_back(read_mapping(mapping)); });
  reader.each("devices", [&](const JsonReader& device) { section.devices.push_back(read_device(device)); });
  reader.read("cgroupsPath", section.cgroups_path);
  reader.object("resources", [&](const JsonReader& resources) { section.resources = read_resources(resources); });
  reader.read("rootfsPropagation", section.rootfs_propagation);
  reader.object("seccomp", [&](const JsonReader& seccomp) { section.seccomp = read_seccomp(seccomp); });
  reader.read("sysctl", section.sysctl);
  reader.read("maskedPaths", section.masked_paths);
  reader.read("readonlyPaths", section.readonly_paths);
  reader.read("mountLabel", section.mount_label);
  refuse_unsupported(reader);
  return section;
}

nlohmann::json write_linux(const Linux& section) {
  Json json = Json::object();
  for (const Namespace& name_space : section.namespaces) {
    Json entry = {{"type", name_space.type}};
    put_unless_empty(entry, "path", name_space.path);
    json["namespaces"].push_back(std::move(entry));
  }
  put_unless_empty(json, "uidMappings", write_mappings(section.uid_mappings));
  put_unless_empty(json, "gidMappings", write_mappings(section.gid_mappings));
  for (const Device& device : section.devices) {
    json["devices"].push_back(write_device(device));
  }
  put_unless_empty(json, "cgroupsPath", section.cgroups_path);
  json["resources"] = write_resources(section.resources);
  put_unless_empty(json, "rootfsPropagation", section.rootfs_propagation);
  if (section.seccomp) {
    json["seccomp"] = write_seccomp(*section.seccomp);
  }
  put_unless_empty(json, "sysctl", section.sysctl);
  put_unless_empty(json, "maskedPaths", section.masked_paths);
  put_unless_empty(json, "readonlyPaths", section.readonly_paths);
  put_unless_empty(json, "mountLabel", section.mount_label);
  return json;
}

}  // namespace bulkhead::oci
