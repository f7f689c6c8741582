#include "engine/spec_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/capabilities.h"
#include "engine/device_requests.h"
#include "engine/mount_requests.h"
#include "engine/origins.h"
#include "engine/security_options.h"
#include "engine/spec_limits.h"
#include "engine/spec_mounts.h"
#include "oci/capability_names.h"
#include "oci/container_defaults.h"
#include "oci/docker_seccomp.h"
#include "runner/default_seccomp.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

enum class Terminal { kNo, kYes };

std::string_view variable_name(std::string_view assignment) { return assignment.substr(0, assignment.find('=')); }

/// Sets or replaces "NAME=value"; a bare "NAME" takes the variable away, as in Docker.
void assign(std::vector<std::string>& environment, const std::string& assignment) {
  auto same_name = [&](const std::string& other) { return variable_name(other) == variable_name(assignment); };
  if (assignment.find('=') == std::string::npos) {
    std::erase_if(environment, same_name);
    return;
  }
  auto found = std::find_if(environment.begin(), environment.end(), same_name);
  if (found != environment.end()) {
    *found = assignment;
  } else {
    environment.push_back(assignment);
  }
}

std::vector<std::string> environment_of(const Container& container, Terminal terminal, const std::vector<std::string>& more,
                                        const std::optional<std::string>& home) {
  std::vector<std::string> environment = {fmt::format("PATH={}", oci::kDefaultPath),
                                          fmt::format("HOSTNAME={}", container.config.hostname)};
  if (terminal == Terminal::kYes) {
    environment.emplace_back("TERM=xterm");
  }
  for (const auto* list : {&container.config.env, &more}) {
    for (const std::string& assignment : *list) {
      assign(environment, assignment);
    }
  }
  bool has_home = std::any_of(environment.begin(), environment.end(),
                              [](const std::string& assignment) { return variable_name(assignment) == "HOME"; });
  if (!has_home && home) {
    environment.push_back(fmt::format("HOME={}", *home));
  }
  return environment;
}

/// Who the process is; what depends on the files inside stays open where nobody here can read them.
struct ProcessUser {
  oci::User user;
  std::optional<std::string> home;
};

ProcessUser process_user(const std::string& name, const std::vector<std::string>& groups, const RootFileReader& read_file) {
  if (!read_file) {
    oci::User user;
    user.username = name.empty() ? "0" : name;
    user.additional_groups = groups;
    return {.user = std::move(user), .home = std::nullopt};
  }
  oci::FoundUser found = oci::find_user(name, groups, read_file);
  return {.user = {.uid = found.uid, .gid = found.gid, .additional_gids = found.additional_gids}, .home = found.home};
}

oci::Process build_process(const SpecRequest& request, const SecurityOptions& security,
                           const std::vector<std::string>& granted) {
  const Container& container = request.container;
  const HostConfig& host_config = container.host_config;
  auto [user, home] = process_user(container.config.user, host_config.group_add, request.read_file);
  oci::Process process;
  process.terminal = container.config.tty;
  process.user = user;
  if (host_config.init.value_or(false)) {
    process.args = {kInitTarget, "--"};
  }
  process.args.push_back(container.path);
  process.args.insert(process.args.end(), container.args.begin(), container.args.end());
  process.env = environment_of(container, container.config.tty ? Terminal::kYes : Terminal::kNo, {}, home);
  process.cwd = container.config.working_dir.empty() ? "/" : clean_path(container.config.working_dir);
  process.capabilities = capability_sets(granted, user.uid);
  process.rlimits = rlimits_of(host_config.ulimits);
  process.no_new_privileges = security.no_new_privileges;
  process.apparmor_profile = security.apparmor_profile;
  process.oom_score_adj = host_config.oom_score_adj;
  return process;
}

std::vector<oci::Namespace> build_namespaces(const SpecRequest& request) {
  const HostConfig& host_config = request.container.host_config;
  std::vector<oci::Namespace> namespaces = {{.type = "mount"}};
  if (!request.network_namespace.empty()) {
    namespaces.push_back({.type = "network", .path = request.network_namespace});
  }
  for (const auto& [type, mode] : {std::pair{"uts", host_config.uts_mode},
                                   {"pid", host_config.pid_mode},
                                   {"ipc", host_config.ipc_mode},
                                   {"cgroup", host_config.cgroupns_mode}}) {
    if (mode != "host") {
      namespaces.push_back({.type = type});
    }
  }
  return namespaces;
}

/// Those of the kernel that the container runs on.
std::vector<std::string> capabilities_for(const Container& container) {
  return container.own_kernel ? oci::all_capabilities() : available_capabilities();
}

std::optional<oci::Seccomp> build_seccomp(const SecurityOptions& security, const HostConfig& host_config,
                                          const std::vector<std::string>& granted) {
  switch (security.seccomp) {
    case SeccompChoice::kUnconfined: return std::nullopt;
    case SeccompChoice::kCustom: return oci::parse_seccomp_profile(security.seccomp_profile, granted);
    case SeccompChoice::kDefault: break;
  }
  if (host_config.privileged) {
    return std::nullopt;
  }
  return runner::default_seccomp(granted);
}

/// A mount that is to be seen on both sides needs a root that lets it through.
std::string root_propagation(const std::vector<oci::Mount>& mounts) {
  std::string propagation;
  for (const oci::Mount& mount : mounts) {
    for (const std::string& option : mount.options) {
      if (option == "shared" || option == "rshared") {
        return "shared";
      }
      if (option == "slave" || option == "rslave") {
        propagation = "rslave";
      }
    }
  }
  return propagation;
}

oci::Linux build_linux(const SpecRequest& request, const SecurityOptions& security, const std::vector<std::string>& granted) {
  const HostConfig& host_config = request.container.host_config;
  oci::Linux section;
  section.namespaces = build_namespaces(request);
  section.cgroups_path = request.cgroups_path;
  section.resources = resources_of(host_config);
  DeviceRequests devices = device_requests(host_config);
  if (!request.container.own_kernel) {
    section.devices = std::move(devices.devices);
  }
  section.resources.devices = std::move(devices.rules);
  section.sysctl = sysctls_of(host_config);
  section.seccomp = build_seccomp(security, host_config, granted);
  if (!host_config.privileged) {
    section.masked_paths = host_config.masked_paths ? *host_config.masked_paths : masked_paths();
    section.readonly_paths = host_config.readonly_paths ? *host_config.readonly_paths : oci::default_readonly_paths();
  }
  return section;
}

}  // namespace

namespace {

/// SECURITY: what the shim reads is ours to say, whatever the user's annotations say.
std::map<std::string, std::string> annotations_of(const Container& container) {
  std::map<std::string, std::string> annotations = container.host_config.annotations;
  annotations["org.bulkhead.isolation"] = container.host_config.isolation;
  annotations.erase("org.bulkhead.devices");
  if (container.own_kernel && container.host_config.privileged) {
    annotations["org.bulkhead.devices"] = "all";  // of its own kernel
  }
  std::string made = "/.dockerenv\n";  // programs look for it to know that they are in a container
  for (const std::string& volume : volume_paths(container.config, container.host_config)) {
    made += volume + "/\n";
  }
  annotations[oci::kMadePaths] = made;
  return annotations;
}

}  // namespace

void check_options(const Container& container) {
  const HostConfig& host_config = container.host_config;
  auto granted = granted_capabilities(host_config, capabilities_for(container));
  build_seccomp(parse_security_options(host_config.security_opt), host_config, granted);
  volume_paths(container.config, host_config);
  resources_of(host_config);
  rlimits_of(host_config.ulimits);
  sysctls_of(host_config);
  for (const std::string& rule : host_config.device_cgroup_rules) {
    parse_device_rule(rule);
  }
}

oci::Spec build_spec(const SpecRequest& request) {
  const Container& container = request.container;
  const HostConfig& host_config = container.host_config;
  SecurityOptions security = parse_security_options(host_config.security_opt);
  std::vector<std::string> granted = granted_capabilities(host_config, capabilities_for(container));
  oci::Spec spec;
  spec.root = {.path = "rootfs", .readonly = host_config.readonly_rootfs};
  spec.process = build_process(request, security, granted);
  if (host_config.uts_mode != "host") {
    spec.hostname = container.config.hostname;
    spec.domainname = container.config.domainname;
  }
  spec.mounts = spec_mounts(request);
  spec.annotations = annotations_of(container);
  spec.linux_ = build_linux(request, security, granted);
  settle_sources(spec);
  spec.linux_.rootfs_propagation = root_propagation(spec.mounts);
  return spec;
}

oci::Process build_exec_process(const oci::Spec& spec, const Container& container, const ExecConfig& exec,
                                const RootFileReader& read_file) {
  // What confines the container confines the exec; what names it may differ.
  oci::Process process = spec.process;
  const std::string& name = exec.user.empty() ? container.config.user : exec.user;
  auto [user, home] = process_user(name, container.host_config.group_add, read_file);
  process.terminal = exec.tty;
  process.console_size.reset();
  process.user = user;
  process.args = exec.cmd;
  process.env = environment_of(container, exec.tty ? Terminal::kYes : Terminal::kNo, exec.env, home);
  if (!exec.working_dir.empty()) {
    process.cwd = clean_path(exec.working_dir);
  }
  process.capabilities = capability_sets(
      exec.privileged ? capabilities_for(container) : granted_capabilities(container.host_config, capabilities_for(container)),
      user.uid);
  return process;
}

}  // namespace bulkhead::engine
