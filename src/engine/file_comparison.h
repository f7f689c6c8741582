// What a container, or a machine's jail, was to see of files and devices, against what it sees. Pure.
#pragma once

#include <string>
#include <vector>

#include "engine/explanation.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {

void compare_paths(const oci::Spec& asked, const facts::Wall& wall, std::vector<Difference>& found);
void compare_device_nodes(const oci::Spec& asked, const facts::Wall& wall, std::vector<Difference>& found);
/// The jail was built from what was asked for, and nothing of it may change (sandbox/vm/jail.h).
void compare_jail_paths(const facts::Wall& wall, std::vector<Difference>& found);

}  // namespace bulkhead::engine
