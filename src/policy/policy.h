// A policy: who trusts whom, written down once, and asked at every create. Parsed from YAML (docs/policy.md has the language),
// immutable then; any thread may ask it.
//
// Rules are read from the top; the first that matches wins. A `require` that wins only ever adds: the walls that the rules
// below it would have put up stand too, down to the first that matches and is no `require`. So no wall becomes thinner by
// adding one. Where no rule matches, the container is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/condition.h"
#include "policy/decision.h"
#include "policy/identity.h"
#include "policy/request.h"

namespace bulkhead::policy {

enum class Outcome { kRequire, kDefault, kAllow, kDeny };

struct Rule {
  std::string name, because;
  size_t line = 0;
  std::vector<Condition> match;
  Outcome outcome = Outcome::kDeny;
  ModeSet permitted;              // what may be had
  std::optional<Mode> preferred;  // kDefault: where the client asks for none
  Walls walls;
  std::vector<Factor> factors;
};

/// A seccomp profile that walls name, and where.
struct NamedProfile {
  std::string path;
  size_t line = 0, column = 0;
};

class Policy {
 public:
  /// Throws kInvalidArgument "`file`:line:column: ...".
  static Policy parse(std::string_view text, const std::string& file);
  /// What holds where there is no policy: everything as it is asked for; tenants by the label org.bulkhead.tenant.
  static Policy none();

  /// `usual` is the mode of this host where the client asks for none. Looks at this host for what rules about paths name, and
  /// blocks for microseconds.
  Decision decide(const Request& request, Mode usual) const;

  const std::vector<Rule>& rules() const { return rules_; }
  const IdentityRules& identities() const { return identities_; }
  const std::string& file() const { return file_; }
  /// What is right, and probably not meant: a rule that can't be reached, a requirement that says nothing.
  const std::vector<std::string>& warnings() const { return warnings_; }
  const std::vector<NamedProfile>& seccomp_profiles() const { return seccomp_profiles_; }

 private:
  friend class PolicyReader;
  Decision by_rules(const Request& request, Mode usual, Decision decision) const;

  std::string file_;
  IdentityRules identities_;
  std::vector<Rule> rules_;
  std::vector<std::string> warnings_;
  std::vector<NamedProfile> seccomp_profiles_;
};

}  // namespace bulkhead::policy
