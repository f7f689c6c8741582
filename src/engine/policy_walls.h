// The least walls that a policy asks for, put into a container's options, where `inspect` shows them. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/container_config.h"
#include "policy/walls.h"

namespace bulkhead::engine {

/// `profiles`: the text of each seccomp profile by its path.
void put_up_walls(const policy::Walls& walls, const std::map<std::string, std::string>& profiles, HostConfig& host_config);
/// Which of these walls a container doesn't have: "a read-only root", ...
std::vector<std::string> missing_walls(const policy::Walls& walls, const std::map<std::string, std::string>& profiles,
                                       const HostConfig& host_config);

}  // namespace bulkhead::engine
