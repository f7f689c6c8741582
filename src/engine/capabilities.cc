#include "engine/capabilities.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cctype>

#include "oci/capability_names.h"
#include "oci/container_defaults.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr const char* kAll = "ALL";

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

/// "net_admin" and "CAP_NET_ADMIN" are both "CAP_NET_ADMIN".
std::vector<std::string> normalized(const std::vector<std::string>& names, const char* property) {
  std::vector<std::string> result;
  for (const std::string& given : names) {
    std::string name = given;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (name != kAll && !name.starts_with("CAP_")) {
      name.insert(0, "CAP_");
    }
    if (name != kAll && !contains(oci::all_capabilities(), name)) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid {}: unknown capability: \"{}\"", property, name));
    }
    result.push_back(std::move(name));
  }
  return result;
}

}  // namespace

std::vector<std::string> available_capabilities() {
  std::vector<std::string> available;
  unsigned long number = 0;
  for (const std::string& name : oci::all_capabilities()) {
    if (prctl(PR_CAPBSET_READ, number++, 0, 0, 0) == 1) {
      available.push_back(name);
    }
  }
  return available;
}

std::vector<std::string> granted_capabilities(const HostConfig& host_config, const std::vector<std::string>& available) {
  auto add = normalized(host_config.cap_add, "CapAdd");
  auto drop = normalized(host_config.cap_drop, "CapDrop");
  if (host_config.privileged) {
    return available;
  }
  std::vector<std::string> granted;
  auto grant = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (name != kAll && !contains(granted, name)) {
        granted.push_back(name);
      }
    }
  };
  auto without_dropped = [&](std::vector<std::string> names) {
    std::erase_if(names, [&](const std::string& name) { return contains(drop, name); });
    return names;
  };
  if (contains(add, kAll)) {
    grant(without_dropped(available));
  } else if (contains(drop, kAll)) {
    grant(add);
  } else {
    grant(without_dropped(oci::default_capabilities()));
    grant(add);
  }
  return granted;
}

oci::Capabilities capability_sets(const std::vector<std::string>& granted, uid_t uid) {
  oci::Capabilities sets;
  sets.bounding = granted;
  if (uid == 0) {
    sets.effective = granted;
    sets.permitted = granted;
  }
  return sets;
}

}  // namespace bulkhead::engine
