#include "policy/request.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <tuple>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

using nlohmann::json;

/// An object of the body, read with errors that name the property. Null is absent.
class Fields {
 public:
  Fields(const json& value, std::string path) : value_(value), path_(std::move(path)) {
    if (!value_.is_object() && !value_.is_null()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{} must be an object", path_.empty() ? "the body" : path_));
    }
  }

  const json& at(const char* key) const {
    static const json kNull;
    auto found = value_.is_object() ? value_.find(key) : value_.end();
    if (value_.is_object() && found == value_.end()) {
      refuse_other_case(key);
    }
    return value_.is_object() && found != value_.end() ? *found : kNull;
  }
  Fields object(const char* key) const { return {at(key), path_of(key)}; }
  std::string text(const char* key) const {
    const json& value = at(key);
    return value.is_null() ? "" : text_of(value, path_of(key));
  }
  bool flag(const char* key) const {
    const json& value = at(key);
    if (!value.is_null() && !value.is_boolean()) {
      wrong(path_of(key), "true or false");
    }
    return value.is_boolean() && value.get<bool>();
  }
  const json& list(const char* key) const {
    const json& value = at(key);
    if (!value.is_null() && !value.is_array()) {
      wrong(path_of(key), "a list");
    }
    return value;
  }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> result;
    for (const json& item : list(key)) {
      result.push_back(text_of(item, path_of(key)));
    }
    return result;
  }
  std::map<std::string, std::string> map(const char* key) const {
    std::map<std::string, std::string> result;
    const json& value = at(key);
    if (!value.is_null() && !value.is_object()) {
      wrong(path_of(key), "an object of strings");
    }
    for (const auto& [name, item] : value.items()) {
      result[name] = text_of(item, path_of(key) + "." + name);
    }
    return result;
  }
  std::string path_of(const char* key) const { return path_.empty() ? key : path_ + "." + key; }
  [[noreturn]] static void wrong(const std::string& path, std::string_view expected) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} must be {}", path, expected));
  }
  static std::string text_of(const json& value, const std::string& path) {
    if (!value.is_string()) {
      wrong(path, "a string");
    }
    return value.get<std::string>();
  }

 private:
  /// SECURITY: others read "privileged" as "Privileged".
  void refuse_other_case(const char* key) const {
    for (const auto& [name, item] : value_.items()) {
      if (::strcasecmp(name.c_str(), key) == 0) {
        wrong(path_of(name.c_str()), fmt::format("written as {}", key));
      }
    }
  }

  const json& value_;
  std::string path_;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

void read_image(const Fields& body, Request& request) {
  request.image = body.text("Image");
  std::string_view id = request.image;
  id.remove_prefix(id.starts_with("sha256:") ? 7 : 0);
  if (oci::is_full_id(id)) {
    request.digest_pinned = true;  // an id is the digest of the image's configuration
    return;
  }
  try {
    request.references.push_back(oci::parse_reference(request.image));
    request.digest_pinned = !request.references.back().digest.empty();
  } catch (const Error&) {
    // No name: an id's beginning, or nothing that the engine would find.
  }
}

void read_isolation(const Fields& host, Request& request) {
  std::string asked = lower(host.text("Isolation"));
  request.asked_mode = mode_of(asked);
  if (!request.asked_mode && !asked.empty() && asked != "default") {
    Fields::wrong(host.path_of("Isolation"), "'default', 'process' or 'hyperv'");
  }
}

void add_path(std::set<std::string>& paths, const std::string& path) {
  if (path.starts_with('/')) {
    paths.insert(canonical_path(path));
  }
}

void read_mounts(const Fields& host, Request& request) {
  for (const std::string& bind : host.texts("Binds")) {
    add_path(request.host_mounts, bind.substr(0, bind.find(':')));
  }
  size_t number = 0;
  for (const json& item : host.list("Mounts")) {
    Fields mount(item, fmt::format("{}[{}]", host.path_of("Mounts"), number++));
    if (mount.text("Type") == "bind") {
      add_path(request.host_mounts, mount.text("Source"));
    }
    // SECURITY: a "volume" may be made of any folder of the host (driver local, o=bind).
    auto options = mount.object("VolumeOptions").object("DriverConfig").map("Options");
    if (auto device = options.find("device"); device != options.end()) {
      add_path(request.host_mounts, device->second);
    }
  }
}

void read_devices(const Fields& host, Request& request) {
  size_t number = 0;
  for (const json& item : host.list("Devices")) {
    add_device(request, Fields(item, fmt::format("{}[{}]", host.path_of("Devices"), number++)).text("PathOnHost"));
  }
  for (const std::string& rule : host.texts("DeviceCgroupRules")) {
    // SECURITY: with it the container makes itself a node of any name.
    request.devices.insert({"/dev", "cgroup rule " + rule});
  }
  if (!host.list("DeviceRequests").empty()) {
    request.devices.insert("device request");
  }
}

PortRange parse_ports(const std::string& text, const std::string& path) {
  if (text.empty()) {
    return {};
  }
  PortRange range;
  const char* end = text.data() + text.size();
  auto first = std::from_chars(text.data(), end, range.first);
  range.last = range.first;
  if (first.ec == std::errc() && first.ptr != end && *first.ptr == '-') {
    first = std::from_chars(first.ptr + 1, end, range.last);
  }
  if (first.ec != std::errc() || first.ptr != end || range.last < range.first) {
    Fields::wrong(path, "a port, or a range such as 8000-8010");
  }
  return range;
}

void read_ports(const Fields& host, Request& request) {
  const json& bindings = host.at("PortBindings");
  if (!bindings.is_null() && !bindings.is_object()) {
    Fields::wrong(host.path_of("PortBindings"), "an object");
  }
  for (const auto& [port, list] : bindings.items()) {
    std::string path = host.path_of("PortBindings") + "." + port;
    if (list.is_null() || list.empty()) {
      request.published_ports.emplace_back();
      continue;
    }
    if (!list.is_array()) {
      Fields::wrong(path, "a list");
    }
    for (const json& binding : list) {
      request.published_ports.push_back(parse_ports(Fields(binding, path).text("HostPort"), path));
    }
  }
  if (host.flag("PublishAllPorts")) {
    request.published_ports.emplace_back();
  }
}

void read_namespaces(const Fields& host, Request& request) {
  for (const auto& [key, name] :
       {std::pair{"NetworkMode", "network"}, std::pair{"PidMode", "pid"}, std::pair{"IpcMode", "ipc"},
        std::pair{"UTSMode", "uts"}, std::pair{"UsernsMode", "user"}, std::pair{"CgroupnsMode", "cgroup"}}) {
    std::string mode = host.text(key);
    // Another container's is not the container's own either.
    if (mode == "host" || mode.starts_with("container:")) {
      request.host_namespaces.insert(name);
    }
  }
}

void read_security_option(const std::string& option, Request& request) {
  size_t separator = std::min(option.find('='), option.find(':'));
  std::string key = option.substr(0, separator);
  std::string value = separator == std::string::npos ? "" : option.substr(separator + 1);
  if (key == "seccomp") {
    bool is_default = value == "default" || value == "builtin";
    request.seccomp = is_default              ? SeccompAsked::kDefault
                      : value == "unconfined" ? SeccompAsked::kUnconfined
                                              : SeccompAsked::kCustom;
  } else if (key == "no-new-privileges") {
    request.no_new_privileges = value.empty() || value == "true" || value == "1";
  } else if (key == "apparmor" && value == "unconfined") {
    request.lifted.insert("apparmor");
  } else if (key == "systempaths" && value == "unconfined") {
    request.lifted.insert("system-paths");
  }
}

void read_security(const Fields& host, Request& request) {
  for (const std::string& option : host.texts("SecurityOpt")) {
    read_security_option(option, request);
  }
  // SECURITY: a profile of its own may allow everything.
  if (request.seccomp != SeccompAsked::kDefault) {
    request.lifted.insert("seccomp");
  }
  // What /proc and /sys hide is asked for only to see more of it.
  if (host.list("MaskedPaths").is_array() || host.list("ReadonlyPaths").is_array()) {
    request.lifted.insert("system-paths");
  }
  for (const std::string& capability : host.texts("CapAdd")) {
    request.added_capabilities.insert(canonical_capability(capability));
  }
  request.read_only_root = host.flag("ReadonlyRootfs");
  if (host.flag("Privileged")) {
    make_privileged(request);
  }
}

auto tie(const Request& request) {
  auto texts = [&] {
    std::vector<std::string> list;
    for (const oci::Reference& reference : request.references) {
      list.push_back(reference.text());
    }
    return list;
  }();
  return std::tuple(request.image, texts, request.digest_pinned, request.labels, request.image_labels, request.annotations,
                    request.caller, request.asked_mode, request.privileged, request.added_capabilities, request.host_mounts,
                    request.devices, request.host_namespaces, request.published_ports, request.lifted, request.seccomp,
                    request.no_new_privileges, request.read_only_root);
}

}  // namespace

std::string Caller::text() const {
  if (uid) {
    return fmt::format("uid {}", *uid);
  }
  return tls_name.empty() ? "a caller whose uid nobody knows" : fmt::format("TLS name '{}'", tls_name);
}

bool operator==(const Request& one, const Request& other) { return tie(one) == tie(other); }

Request read_request(const json& create_body) {
  Fields body(create_body, "");
  Fields host = body.object("HostConfig");
  Request request;
  read_image(body, request);
  request.labels = body.map("Labels");
  request.annotations = host.map("Annotations");
  read_isolation(host, request);
  read_mounts(host, request);
  read_devices(host, request);
  read_ports(host, request);
  read_namespaces(host, request);
  read_security(host, request);
  return request;
}

void make_privileged(Request& request) {
  request.privileged = true;
  request.added_capabilities.insert("ALL");
  request.devices.insert("/dev");
  request.lifted.insert({"apparmor", "seccomp", "system-paths"});
}

std::string canonical_capability(std::string_view name) {
  std::string canonical(name);
  std::transform(canonical.begin(), canonical.end(), canonical.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return canonical.starts_with("CAP_") ? canonical.substr(4) : canonical;
}

std::string canonical_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    size_t slash = std::min(path.find('/'), path.size());
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part == ".." && !parts.empty()) {
      parts.pop_back();
    } else if (!part.empty() && part != "." && part != "..") {
      parts.push_back(part);
    }
  }
  return parts.empty() ? "/" : fmt::format("/{}", fmt::join(parts, "/"));
}

bool is_in(const std::string& inner, const std::string& outer) {
  return inner == outer || outer == "/" ||
         (inner.starts_with(outer) && inner.size() > outer.size() && inner[outer.size()] == '/');
}

void add_device(Request& request, const std::string& path) {
  std::string canonical = canonical_path(path);
  if (!path.starts_with('/') || !is_in(canonical, "/dev") || is_in(canonical, "/dev/shm")) {
    request.devices.insert("/dev");
  }
  request.devices.insert(path.starts_with('/') ? canonical : path);
}

json to_json(const Request& request) {
  json references = json::array();
  for (const oci::Reference& reference : request.references) {
    references.push_back(reference.text());
  }
  json ports = json::array();
  for (const PortRange& range : request.published_ports) {
    ports.push_back({range.first, range.last});
  }
  return {{"image", request.image},
          {"references", references},
          {"digest_pinned", request.digest_pinned},
          {"labels", request.labels},
          {"image_labels", request.image_labels},
          {"annotations", request.annotations},
          {"uid", request.caller.uid ? json(*request.caller.uid) : json(nullptr)},
          {"tls_name", request.caller.tls_name},
          {"asked_mode", request.asked_mode ? json(name(*request.asked_mode)) : json(nullptr)},
          {"privileged", request.privileged},
          {"added_capabilities", request.added_capabilities},
          {"host_mounts", request.host_mounts},
          {"devices", request.devices},
          {"host_namespaces", request.host_namespaces},
          {"published_ports", ports},
          {"lifted", request.lifted},
          {"seccomp", static_cast<int>(request.seccomp)},
          {"no_new_privileges", request.no_new_privileges ? json(*request.no_new_privileges) : json(nullptr)},
          {"read_only_root", request.read_only_root}};
}

Request request_of_json(const json& value) {
  Request request;
  request.image = value.at("image");
  for (const auto& text : value.at("references")) {
    request.references.push_back(oci::parse_reference(text.get<std::string>()));
  }
  request.digest_pinned = value.at("digest_pinned");
  request.labels = value.at("labels").get<std::map<std::string, std::string>>();
  request.image_labels = value.at("image_labels").get<std::map<std::string, std::string>>();
  request.annotations = value.at("annotations").get<std::map<std::string, std::string>>();
  if (value.at("uid").is_number()) {
    request.caller.uid = value.at("uid").get<uint32_t>();
  }
  request.caller.tls_name = value.at("tls_name");
  request.asked_mode = value.at("asked_mode").is_string() ? mode_of(value.at("asked_mode").get<std::string>()) : std::nullopt;
  request.privileged = value.at("privileged");
  request.added_capabilities = value.at("added_capabilities").get<std::set<std::string>>();
  request.host_mounts = value.at("host_mounts").get<std::set<std::string>>();
  request.devices = value.at("devices").get<std::set<std::string>>();
  request.host_namespaces = value.at("host_namespaces").get<std::set<std::string>>();
  for (const auto& range : value.at("published_ports")) {
    request.published_ports.push_back({range.at(0), range.at(1)});
  }
  request.lifted = value.at("lifted").get<std::set<std::string>>();
  request.seccomp = static_cast<SeccompAsked>(value.at("seccomp").get<int>());
  if (value.at("no_new_privileges").is_boolean()) {
    request.no_new_privileges = value.at("no_new_privileges").get<bool>();
  }
  request.read_only_root = value.at("read_only_root");
  return request;
}

}  // namespace bulkhead::policy
