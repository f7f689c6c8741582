#include "engine/capabilities.h"

#include <fmt/format.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cctype>

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
    if (name != kAll && !contains(all_capabilities(), name)) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid {}: unknown capability: \"{}\"", property, name));
    }
    result.push_back(std::move(name));
  }
  return result;
}

}  // namespace

const std::vector<std::string>& all_capabilities() {
  static const std::vector<std::string> kNames = {"CAP_CHOWN",
                                                  "CAP_DAC_OVERRIDE",
                                                  "CAP_DAC_READ_SEARCH",
                                                  "CAP_FOWNER",
                                                  "CAP_FSETID",
                                                  "CAP_KILL",
                                                  "CAP_SETGID",
                                                  "CAP_SETUID",
                                                  "CAP_SETPCAP",
                                                  "CAP_LINUX_IMMUTABLE",
                                                  "CAP_NET_BIND_SERVICE",
                                                  "CAP_NET_BROADCAST",
                                                  "CAP_NET_ADMIN",
                                                  "CAP_NET_RAW",
                                                  "CAP_IPC_LOCK",
                                                  "CAP_IPC_OWNER",
                                                  "CAP_SYS_MODULE",
                                                  "CAP_SYS_RAWIO",
                                                  "CAP_SYS_CHROOT",
                                                  "CAP_SYS_PTRACE",
                                                  "CAP_SYS_PACCT",
                                                  "CAP_SYS_ADMIN",
                                                  "CAP_SYS_BOOT",
                                                  "CAP_SYS_NICE",
                                                  "CAP_SYS_RESOURCE",
                                                  "CAP_SYS_TIME",
                                                  "CAP_SYS_TTY_CONFIG",
                                                  "CAP_MKNOD",
                                                  "CAP_LEASE",
                                                  "CAP_AUDIT_WRITE",
                                                  "CAP_AUDIT_CONTROL",
                                                  "CAP_SETFCAP",
                                                  "CAP_MAC_OVERRIDE",
                                                  "CAP_MAC_ADMIN",
                                                  "CAP_SYSLOG",
                                                  "CAP_WAKE_ALARM",
                                                  "CAP_BLOCK_SUSPEND",
                                                  "CAP_AUDIT_READ",
                                                  "CAP_PERFMON",
                                                  "CAP_BPF",
                                                  "CAP_CHECKPOINT_RESTORE"};
  return kNames;
}

std::vector<std::string> available_capabilities() {
  std::vector<std::string> available;
  unsigned long number = 0;
  for (const std::string& name : all_capabilities()) {
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
