// The parts of a policy file that say whose a container is: `tenants`, `environments`, `callers`, `unlisted-callers`.
#pragma once

#include <string>

#include "policy/identity.h"
#include "policy/yaml_tree.h"

namespace bulkhead::policy {

/// Reads them off the file's mapping. Throws kInvalidArgument with line and column.
IdentityRules read_identity_rules(YamlMap& map);

}  // namespace bulkhead::policy
