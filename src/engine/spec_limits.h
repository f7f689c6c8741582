// The parts of the spec that are numbers: resources, ulimits, sysctls. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/container_config.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {

/// Without the device rules.
oci::Resources resources_of(const HostConfig& host_config);
/// Throws kInvalidArgument in Docker's words.
std::vector<oci::Rlimit> rlimits_of(const std::vector<Ulimit>& ulimits);
/// Docker's own and the asked ones. SECURITY: only those that belong to a namespace of the container's own; the others would
/// change the host. Throws kInvalidArgument.
std::map<std::string, std::string> sysctls_of(const HostConfig& host_config);

}  // namespace bulkhead::engine
