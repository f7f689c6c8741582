#include "engine/policy_walls.h"

#include <algorithm>

#include "engine/capabilities.h"
#include "engine/security_options.h"
#include "policy/request.h"

namespace bulkhead::engine {
namespace {

const std::string* custom_profile(const policy::Walls& walls, const std::map<std::string, std::string>& profiles) {
  for (const std::string& path : walls.seccomp) {
    if (auto found = profiles.find(path); found != profiles.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

bool is_dropped(const HostConfig& host_config, const std::string& capability) {
  return std::any_of(host_config.cap_drop.begin(), host_config.cap_drop.end(),
                     [&](const std::string& name) { return policy::canonical_capability(name) == capability; });
}

bool has_seccomp(const HostConfig& host_config, const SecurityOptions& security, const std::string* profile) {
  if (profile != nullptr) {
    return security.seccomp == SeccompChoice::kCustom && security.seccomp_profile == *profile;
  }
  return security.seccomp == SeccompChoice::kDefault && !host_config.privileged;
}

}  // namespace

void put_up_walls(const policy::Walls& walls, const std::map<std::string, std::string>& profiles, HostConfig& host_config) {
  host_config.readonly_rootfs = host_config.readonly_rootfs || walls.read_only_root;
  if (walls.no_new_privileges && !parse_security_options(host_config.security_opt).no_new_privileges) {
    host_config.security_opt.emplace_back("no-new-privileges");
  }
  for (const std::string& capability : walls.drop_capabilities) {
    if (!is_dropped(host_config, capability)) {
      host_config.cap_drop.push_back(capability);
    }
  }
  if (const std::string* profile = custom_profile(walls, profiles); profile != nullptr) {
    host_config.security_opt.push_back("seccomp=" + *profile);
  }
}

std::vector<std::string> missing_walls(const policy::Walls& walls, const std::map<std::string, std::string>& profiles,
                                       const HostConfig& host_config) {
  std::vector<std::string> missing;
  SecurityOptions security = parse_security_options(host_config.security_opt);
  if (walls.read_only_root && !host_config.readonly_rootfs) {
    missing.emplace_back("a read-only root");
  }
  if (walls.no_new_privileges && !security.no_new_privileges) {
    missing.emplace_back("no new privileges");
  }
  // Measured by what it has, not by how that was said.
  std::vector<std::string> granted = granted_capabilities(host_config);
  for (const std::string& capability : walls.drop_capabilities) {
    bool has = capability == "ALL" ? !granted.empty()
                                   : std::find(granted.begin(), granted.end(), "CAP_" + capability) != granted.end();
    if (has) {
      missing.push_back("capability " + capability + " dropped");
    }
  }
  if (!walls.seccomp.empty() && !has_seccomp(host_config, security, custom_profile(walls, profiles))) {
    missing.push_back("the seccomp profile " + *walls.seccomp.begin());
  }
  return missing;
}

}  // namespace bulkhead::engine
