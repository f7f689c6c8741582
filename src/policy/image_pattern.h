// Which images a rule is about: patterns of references, compared with the full name that Docker makes of what a user writes
// ("debian" is docker.io/library/debian:latest). Pure.
//
//   debian              docker.io/library/debian, whatever its tag
//   acme/*              docker.io/acme/x, not docker.io/acme/x/y
//   registry.acme/**    everything of that registry
//   */app:1.*           app with a tag 1.x of every registry
//   app@sha256:...      that digest
//   *                   every image, also one that has no name
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/reference.h"
#include "policy/pattern.h"

namespace bulkhead::policy {

/// A registry as rules compare it: lower case, without the port that is the default anyway.
std::string canonical_registry(std::string_view domain);

class ImagePattern {
 public:
  /// Throws kInvalidArgument saying why it is none.
  explicit ImagePattern(std::string_view text);
  bool matches_everything() const { return everything_; }
  bool matches(const oci::Reference& reference) const;

 private:
  bool everything_ = false;
  std::optional<Pattern> registry_, path_, tag_, digest_;
};

}  // namespace bulkhead::policy
