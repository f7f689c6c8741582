// Which values of a create request's limits are possible: Docker's own bounds, in its words. Asked once, at create: a container
// that is there stays, whatever becomes of its host (a processor that went offline). Reads /sys; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "engine/container_config.h"

namespace bulkhead::engine {

/// Throws kInvalidArgument with the first that isn't.
void check_resources(const HostConfig& config);
/// What is possible, and better left.
std::vector<std::string> resource_warnings(const HostConfig& config);

}  // namespace bulkhead::engine
