#include "oci/runtime_spec.h"

#include <algorithm>
#include <sstream>

#include "oci/json_reader.h"
#include "oci/spec_sections.h"

namespace bulkhead::oci {

namespace {

using Json = nlohmann::json;

Mount read_mount(const JsonReader& reader) {
  Mount mount;
  reader.require("destination", mount.destination);
  reader.read("type", mount.type);
  reader.read("source", mount.source);
  reader.read("options", mount.options);
  reader.refuse("uidMappings");
  reader.refuse("gidMappings");
  return mount;
}

void check_root(const Root& root) {
  if (root.path.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "'root.path' is missing");
  }
}

Spec read_spec(const JsonReader& reader) {
  Spec spec;
  reader.require("ociVersion", spec.oci_version);
  if (!spec.oci_version.starts_with("1.")) {
    throw Error(ErrorCode::kNotSupported, fmt::format("'ociVersion' {} is not supported: only 1.x is", spec.oci_version));
  }
  reader.object("root", [&](const JsonReader& root) {
    root.read("path", spec.root.path);
    root.read("readonly", spec.root.readonly);
  });
  check_root(spec.root);
  if (reader.find("process") == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "'process' is missing");
  }
  reader.object("process", [&](const JsonReader& process) { spec.process = read_process(process); });
  reader.read("hostname", spec.hostname);
  reader.read("domainname", spec.domainname);
  reader.each("mounts", [&](const JsonReader& mount) { spec.mounts.push_back(read_mount(mount)); });
  reader.read("annotations", spec.annotations);
  reader.object("linux", [&](const JsonReader& section) { spec.linux_ = read_linux(section); });
  reader.object("hooks", [](const JsonReader& hooks) {
    for (const char* name : {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}) {
      hooks.refuse(name);
    }
  });
  for (const char* other : {"solaris", "windows", "vm", "zos"}) {
    reader.refuse(other, "this is a runtime for Linux containers");
  }
  return spec;
}

Json write_mount(const Mount& mount) {
  Json json = {{"destination", mount.destination}};
  put_unless_empty(json, "type", mount.type);
  put_unless_empty(json, "source", mount.source);
  put_unless_empty(json, "options", mount.options);
  return json;
}

// nlohmann throws for text that isn't UTF-8; environment and paths may hold any bytes, which JSON can't carry.
std::string dump(const Json& json) {
  try {
    return json.dump();
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a runtime spec can't be written as JSON: {}", error.what()));
  }
}

}  // namespace

Spec parse_spec(std::string_view json_text) {
  const Json json = parse_json(json_text, "the runtime spec");
  return read_spec(JsonReader(json, ""));
}

Process parse_process(std::string_view json_text) {
  const Json json = parse_json(json_text, "the process");
  return read_process(JsonReader(json, ""));
}

Seccomp parse_seccomp(std::string_view json_text) {
  const Json json = parse_json(json_text, "the seccomp profile");
  return read_seccomp(JsonReader(json, ""));
}

Resources parse_resources(std::string_view json_text) {
  const Json json = parse_json(json_text, "the resources");
  return read_resources(JsonReader(json, ""));
}

std::string to_json(const Spec& spec) {
  Json json = {{"ociVersion", spec.oci_version}, {"root", {{"path", spec.root.path}, {"readonly", spec.root.readonly}}}};
  json["process"] = write_process(spec.process);
  put_unless_empty(json, "hostname", spec.hostname);
  put_unless_empty(json, "domainname", spec.domainname);
  json["mounts"] = Json::array();
  for (const Mount& mount : spec.mounts) {
    json["mounts"].push_back(write_mount(mount));
  }
  put_unless_empty(json, "annotations", spec.annotations);
  json["linux"] = write_linux(spec.linux_);
  return dump(json);
}

std::string to_json(const Process& process) { return dump(write_process(process)); }
std::string to_json(const Resources& resources) { return dump(write_resources(resources)); }
std::string to_json(const Seccomp& seccomp) { return dump(write_seccomp(seccomp)); }

bool is_bind(const Mount& mount) {
  return mount.type == "bind" || std::any_of(mount.options.begin(), mount.options.end(),
                                             [](const std::string& option) { return option == "bind" || option == "rbind"; });
}

bool has_exact_sources(const Spec& spec) {
  auto found = spec.annotations.find(kExactSources);
  return found != spec.annotations.end() && found->second == "true";
}

std::vector<std::string> made_paths(const Spec& spec) {
  std::vector<std::string> paths;
  auto found = spec.annotations.find(kMadePaths);
  std::istringstream lines(found == spec.annotations.end() ? std::string() : found->second);
  for (std::string line; std::getline(lines, line);) {
    paths.push_back(line);
  }
  return paths;
}

}  // namespace bulkhead::oci
