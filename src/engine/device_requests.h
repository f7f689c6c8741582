// Devices: what every container may use, what --device and --device-cgroup-rule add, what --privileged opens. Reads /dev.
#pragma once

#include <vector>

#include "engine/container_config.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {

struct DeviceRequests {
  std::vector<oci::Device> devices;
  std::vector<oci::DeviceRule> rules;
};

/// Throws kInvalidArgument in Docker's words.
DeviceRequests device_requests(const HostConfig& host_config);
/// "c 10:* rwm"
oci::DeviceRule parse_device_rule(const std::string& text);

}  // namespace bulkhead::engine
