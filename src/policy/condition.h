// What a rule looks at: one condition a key of its `match`, compiled once. A rule matches where all of its conditions hold.
// Immutable once read; pure, but for conditions on paths.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "policy/host_paths.h"
#include "policy/identity.h"
#include "policy/request.h"
#include "policy/yaml_tree.h"

namespace bulkhead::policy {

struct Subject {
  const Request& request;
  const Identity& identity;
  HostPaths& host;
};

using Condition = std::function<bool(const Subject&)>;

/// Of a rule's `match`: a mapping, or the word "any" (no conditions). Throws kInvalidArgument with line and column; also for an
/// environment that the policy doesn't have (a rule about "prod" would never match "production").
std::vector<Condition> read_conditions(const YamlNode& match, const std::string& file, const IdentityRules& identities);

bool all_hold(const std::vector<Condition>& conditions, const Subject& subject);

}  // namespace bulkhead::policy
