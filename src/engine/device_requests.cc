#include "engine/device_requests.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "engine/mount_requests.h"
#include "linux/device_nodes.h"
#include "oci/container_defaults.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

oci::DeviceRule allow(char type, std::optional<int64_t> major, std::optional<int64_t> minor, const char* access) {
  return {.allow = true, .type = type, .major = major, .minor = minor, .access = access};
}

void add_device(DeviceRequests& requests, const DeviceMapping& mapping) {
  auto fail = [&](const char* why) {
    return Error(
        ErrorCode::kInvalidArgument,
        fmt::format("error gathering device information while adding custom device \"{}\": {}", mapping.path_on_host, why));
  };
  const std::string& inside = mapping.path_in_container.empty() ? mapping.path_on_host : mapping.path_in_container;
  const std::string access = mapping.cgroup_permissions.empty() ? "rwm" : mapping.cgroup_permissions;
  if (inside[0] != '/' || access.find_first_not_of("rwm") != std::string::npos) {
    throw fail("the path in the container must be absolute, the permissions made of r, w and m");
  }
  std::error_code missing;
  // SECURITY: as the policy has it: ".." takes a name away, whatever link it is.
  std::filesystem::path source = std::filesystem::canonical(clean_path(mapping.path_on_host), missing);
  if (missing) {
    throw fail("no such file or directory");
  }
  std::vector<oci::Device> devices;
  if (std::filesystem::is_directory(source, missing)) {
    devices = linux::devices_under(source, inside);
  } else if (auto device = linux::device_at(source, inside)) {
    devices.push_back(*device);
  }
  if (devices.empty()) {
    throw fail("not a device node");
  }
  for (const oci::Device& device : devices) {
    requests.rules.push_back(allow(device.type, device.major, device.minor, access.c_str()));
    requests.devices.push_back(device);
  }
}

/// A number or "*".
bool parse_part(std::string_view text, std::optional<int64_t>& number) {
  if (text == "*") {
    return true;
  }
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  number = value;
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && value >= 0;
}

}  // namespace

oci::DeviceRule parse_device_rule(const std::string& text) {
  oci::DeviceRule rule{.allow = true};
  size_t colon = text.find(':');
  size_t blank = text.find(' ', 2);
  bool shaped = text.size() > 2 && std::string_view("acb").find(text[0]) != std::string_view::npos && text[1] == ' ' &&
                colon != std::string::npos && blank != std::string::npos && colon < blank;
  if (shaped) {
    rule.type = text[0];
    rule.access = text.substr(blank + 1);
    std::string_view view = text;
    shaped = parse_part(view.substr(2, colon - 2), rule.major) &&
             parse_part(view.substr(colon + 1, blank - colon - 1), rule.minor) && !rule.access.empty() &&
             rule.access.size() <= 3 && rule.access.find_first_not_of("rwm") == std::string::npos;
  }
  if (!shaped) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid device cgroup rule format: '{}'", text));
  }
  return rule;
}

DeviceRequests device_requests(const HostConfig& host_config) {
  DeviceRequests requests;
  if (host_config.privileged) {
    requests.devices = linux::devices_under("/dev", "/dev");
    requests.rules = {allow('a', std::nullopt, std::nullopt, "rwm")};
    return requests;
  }
  requests.rules = oci::default_device_rules();
  for (const DeviceMapping& mapping : host_config.devices) {
    add_device(requests, mapping);
  }
  for (const std::string& rule : host_config.device_cgroup_rules) {
    requests.rules.push_back(parse_device_rule(rule));
  }
  return requests;
}

}  // namespace bulkhead::engine
