// What stands between containers, their neighbours and the host: measured now, and where it differs from what was asked for.
// Pure data.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/container.h"

namespace bulkhead::facts {
class Kernel;
class Wall;
}  // namespace bulkhead::facts

namespace bulkhead::engine {

/// What is in force is not what was asked for.
struct Difference {
  std::string what;  // "capabilities of process 7 (sh)"
  std::string asked, in_force;
  bool weaker = true;  // in force is less of a wall
};

/// Another container on the same kernel, or in the same namespace.
struct Neighbour {
  std::string id, name, tenant;
};

struct ExplainedContainer {
  Container record;
  std::shared_ptr<const facts::Wall> wall;  // null where nothing could be measured: `failure` says why
  std::string failure;
  std::vector<Difference> differences;
  std::vector<Neighbour> on_same_kernel;
  std::map<std::string, std::vector<Neighbour>> namespaces_shared;  // by kind
};

struct Explanation {
  std::shared_ptr<const facts::Kernel> host;
  std::vector<ExplainedContainer> containers;  // running ones
};

}  // namespace bulkhead::engine
