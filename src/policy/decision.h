// What a policy says of one request, with the reason. Kept with the container, written to the audit log, shown by
// `bulkhead policy why`. Pure data.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "policy/factor.h"
#include "policy/identity.h"
#include "policy/mode.h"
#include "policy/walls.h"

namespace bulkhead::policy {

enum class Verdict { kAllowed, kDenied };

struct Decision {
  Verdict verdict = Verdict::kDenied;
  Mode mode = Mode::kHyperv;  // the one in force, where it is allowed
  /// A thicker one that it may be given instead, where it can't share the kernel: not where the client asked for a mode.
  std::optional<Mode> alternative;
  std::string because;
  std::string rule;  // its name; "" where no rule decided (no policy, or none matched)
  size_t line = 0;   // of the rule in the file
  std::string file;  // "": there is no policy
  Walls walls;
  std::vector<Factor> factors;
  Identity identity;

  /// One sentence for whoever asked: which rule, where it stands, why, and the way out.
  std::string text() const;
};

nlohmann::json to_json(const Decision& decision);
Decision decision_of_json(const nlohmann::json& value);

}  // namespace bulkhead::policy
