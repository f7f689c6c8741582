// What was asked for a container against what was measured. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/explanation.h"
#include "oci/runtime_spec.h"

namespace bulkhead::facts {
class FilterChain;
}

namespace bulkhead::engine {

/// `asked`: what the container's record says it should be started from. `own_kernel`: the container is in `wall`'s inside, and
/// what surrounds it is the jail of a machine, which is always the same. `host`: the host's kernel.
struct WallQuestion {
  const oci::Spec& asked;
  bool own_kernel = false;
  const facts::Wall& wall;
  const facts::Kernel& host;
  /// Namespaces of other containers on the same kernel, by inode: whose.
  const std::map<uint64_t, std::string>& others;
};
std::vector<Difference> compare_wall(const WallQuestion& question);

}  // namespace bulkhead::engine
