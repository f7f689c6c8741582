// The mounts of a container: Docker's own, the three files of names, and what was asked for. Pure.
#pragma once

#include <vector>

#include "engine/spec_builder.h"

namespace bulkhead::engine {

constexpr const char* kInitTarget = "/sbin/docker-init";  // where --init's program is inside the container

/// In the order in which they are to be made.
std::vector<oci::Mount> spec_mounts(const SpecRequest& request);
/// What is hidden by default of /proc and of this host's /sys.
std::vector<std::string> masked_paths();

}  // namespace bulkhead::engine
