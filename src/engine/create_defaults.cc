#include "engine/create_defaults.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/spec_mounts.h"
#include "oci/container_defaults.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

std::string_view variable_name(std::string_view assignment) { return assignment.substr(0, assignment.find('=')); }

void merge_environment(std::vector<std::string>& environment, const std::vector<std::string>& defaults) {
  size_t given = environment.size();
  for (const std::string& assignment : defaults) {
    bool overridden = std::any_of(environment.begin(), environment.begin() + static_cast<ptrdiff_t>(given),
                                  [&](const auto& own) { return variable_name(own) == variable_name(assignment); });
    if (!overridden) {
      environment.push_back(assignment);
    }
  }
}

/// The request's and the image's. Docker's words for the name.
void check_environment(const std::vector<std::string>& environment) {
  for (const std::string& assignment : environment) {
    if (variable_name(assignment).empty()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("invalid environment variable: '{}': environment variable name can't be empty", assignment));
    }
  }
}

void merge_command(ContainerConfig& config, const image::ProcessDefaults& defaults) {
  bool own_entrypoint = config.entrypoint && !config.entrypoint->empty();
  if (!own_entrypoint) {
    if (!config.cmd || config.cmd->empty()) {
      config.cmd = defaults.cmd;
    }
    if (!config.entrypoint && !defaults.entrypoint.empty()) {
      config.entrypoint = defaults.entrypoint;
    }
  }
  // `--entrypoint ""` arrives as one empty string: no entrypoint, and none of the image's either.
  if (config.entrypoint && config.entrypoint->size() == 1 && config.entrypoint->front().empty()) {
    config.entrypoint.reset();
  }
}

void merge_defaults(ContainerConfig& config, const image::ProcessDefaults& defaults) {
  merge_environment(config.env, defaults.env);
  check_environment(config.env);
  merge_command(config, defaults);
  if (config.user.empty()) {
    config.user = defaults.user;
  }
  if (config.working_dir.empty()) {
    config.working_dir = defaults.working_directory;
  }
  if (config.stop_signal.empty()) {
    config.stop_signal = defaults.stop_signal;
  }
  config.labels.insert(defaults.labels.begin(), defaults.labels.end());
  for (const std::string& volume : defaults.volumes) {
    if (std::find(config.volumes.begin(), config.volumes.end(), volume) == config.volumes.end()) {
      config.volumes.push_back(volume);
    }
  }
  for (const std::string& port : defaults.exposed_ports) {
    if (std::find(config.exposed_ports.begin(), config.exposed_ports.end(), port) == config.exposed_ports.end()) {
      config.exposed_ports.push_back(port);
    }
  }
}

void set_command(Container& container) {
  std::vector<std::string> words = container.config.entrypoint.value_or(std::vector<std::string>{});
  if (container.config.cmd) {
    words.insert(words.end(), container.config.cmd->begin(), container.config.cmd->end());
  }
  if (words.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "No command specified: give one after the image's name");
  }
  container.path = words[0];
  container.args.assign(words.begin() + 1, words.end());
}

std::string host_name_of_this_machine() {
  std::string name(256, '\0');
  if (gethostname(name.data(), name.size() - 1) != 0) {
    throw system_error("read the host's name");
  }
  name.resize(name.find('\0'));
  return name;
}

void set_host_name(Container& container) {
  std::string& hostname = container.config.hostname;
  if (!hostname.empty() && container.host_config.uts_mode == "host") {
    throw Error(ErrorCode::kInvalidArgument, "conflicting options: hostname and the UTS mode");
  }
  if (hostname.empty()) {
    bool of_host = container.host_config.network_mode == "host" || container.host_config.uts_mode == "host";
    hostname = of_host ? host_name_of_this_machine() : container.id.substr(0, 12);
  }
  // RFC 1123 labels; 64 bytes is what sethostname(2) takes.
  if (hostname.size() > 64 || hostname.find('/') != std::string::npos || hostname.find('\n') != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid hostname '{}': at most 64 letters, digits, '-' and '.'", hostname));
  }
}

/// What is in force, for who inspects it.
void fill_protected_paths(HostConfig& config) {
  if (config.privileged) {
    return;
  }
  if (!config.masked_paths) {
    config.masked_paths = masked_paths();
  }
  if (!config.readonly_paths) {
    config.readonly_paths = oci::default_readonly_paths();
  }
}

void fill_namespace_modes(HostConfig& config) {
  if (config.ipc_mode.empty()) {
    config.ipc_mode = "private";
  }
  if (config.cgroupns_mode.empty()) {
    config.cgroupns_mode = "private";
  }
}

}  // namespace

void fill_in(Container& container, const image::ProcessDefaults& of_image) {
  fill_namespace_modes(container.host_config);
  fill_protected_paths(container.host_config);
  merge_defaults(container.config, of_image);
  set_command(container);
  set_host_name(container);
}

}  // namespace bulkhead::engine
