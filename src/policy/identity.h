// Whose container it is: its tenant and its environment. Labels say so, and anybody who may ask can write labels: a policy can
// bind callers to tenants, and what a caller is bound to can't be taken by another. Pure; immutable once read.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/request.h"

namespace bulkhead::policy {

/// "": none was named.
struct Identity {
  std::string tenant, environment;
  friend bool operator==(const Identity&, const Identity&) = default;
};

/// Which names a caller may take.
struct Names {
  bool any = false;
  std::set<std::string> names;  // one: it is meant also where nothing was said
};

struct CallerRule {
  std::set<uint32_t> uids;
  std::set<std::string> tls_names;
  Names tenants, environments;
  size_t line = 0;
};

enum class Unlabelled { kNone, kNamed, kRefused };
enum class Unlisted { kRefused, kByLabel };

/// One of the two kinds of names.
struct NameSource {
  std::string label;
  Unlabelled unlabelled = Unlabelled::kNone;
  std::string fallback;           // where kNamed
  std::set<std::string> allowed;  // empty: every name
};

struct IdentityRules {
  NameSource tenants{.label = "org.bulkhead.tenant"};
  NameSource environments{.label = "org.bulkhead.environment", .allowed = {"dev", "test", "production"}};
  std::vector<CallerRule> callers;  // empty: everybody may take every name
  Unlisted unlisted = Unlisted::kRefused;
};

/// Throws kPermissionDenied saying what is wrong, and what to do.
Identity identify(const IdentityRules& rules, const Request& request);

/// Says in `request`, in the words of `rules`, that it is about something of `identity`.
void name_identity(const IdentityRules& rules, const Identity& identity, Request& request);

/// Letters, digits, '.', '_', '-', at most 63, beginning with a letter or digit; not "any" nor "none".
bool is_valid_name(std::string_view name);

}  // namespace bulkhead::policy
