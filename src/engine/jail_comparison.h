// QEMU's jail is the same for all (sandbox/vm/jail.h); its cgroup is as the shim has set it. Pure.
#pragma once

#include <vector>

#include "engine/explanation.h"

namespace bulkhead::engine {

/// Throws kInvalidArgument where the shim's word about the cgroup is none.
void compare_jail(const facts::Wall& wall, std::vector<Difference>& found);

}  // namespace bulkhead::engine
