// The mounts of a container: Docker's own, the three files of names, and what was asked for. Pure.
#pragma once

#include <vector>

#include "engine/spec_builder.h"

namespace bulkhead::engine {

constexpr const char* kInitTarget = "/sbin/docker-init";  // where --init's program is inside the container

/// In the order in which they are to be made.
std::vector<oci::Mount> spec_mounts(const SpecRequest& request);
/// What is hidden and what can't be written of /proc and /sys, as the newest Docker has it.
std::vector<std::string> default_masked_paths();
std::vector<std::string> default_readonly_paths();

}  // namespace bulkhead::engine
