// Which capabilities a container's process gets: Docker's default set, changed by --cap-add, --cap-drop and --privileged. Pure.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/container_config.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {

/// Of all capabilities, what this process may give at all: an engine inside a container of its own, or on an older kernel, has
/// fewer.
std::vector<std::string> available_capabilities();
/// Throws kInvalidArgument "invalid CapAdd: unknown capability: ..." as Docker does.
/// `available`: all that may be given at all.
std::vector<std::string> granted_capabilities(const HostConfig& host_config,
                                              const std::vector<std::string>& available = available_capabilities());
/// The sets for a process: only root starts with them; for everybody else they bound what execve(2) can give.
oci::Capabilities capability_sets(const std::vector<std::string>& granted, uid_t uid);

}  // namespace bulkhead::engine
