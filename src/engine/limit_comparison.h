// The limits and device rules that a cgroup was to have, against those that are in force. Pure.
#pragma once

#include <string>
#include <vector>

#include "engine/explanation.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {

/// `whose`: what the name of each difference begins with, "" or "QEMU's ".
void compare_limits(const oci::Resources& asked, const facts::Wall& wall, const std::string& whose,
                    std::vector<Difference>& found);
void compare_device_rules(const std::vector<oci::DeviceRule>& asked, const facts::Wall& wall, const std::string& whose,
                          std::vector<Difference>& found);

/// Whether one of the rules lets it through; an absent number is "any".
struct DeviceAccess {
  char kind = 'a';
  std::optional<int64_t> major, minor;
  char access = 'r';
};
bool is_allowed(const std::vector<oci::DeviceRule>& rules, const DeviceAccess& wanted);

}  // namespace bulkhead::engine
