// The reasons for a thicker wall, in the words of the model: each asks for walls by itself. Pure data.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/mode.h"
#include "policy/walls.h"

namespace bulkhead::policy {

enum class Factor {
  kDedicatedKernel,             // "dedicated kernel"
  kHostDoesNotTrustApp,         // "host does not trust the app"
  kNeighboursDoNotTrustOthers,  // "neighbours do not trust each other"
  kCompliance,                  // "compliance"
  kEnvironment,                 // "environment"
};

std::string_view name(Factor factor);
/// In the words above; hyphens may stand for blanks.
std::optional<Factor> factor_of(std::string_view words);
/// Every factor's words, for messages: "'dedicated kernel', ...".
std::string factor_names();

/// The thinnest mode that a factor leaves, and the walls it asks for beside.
Mode least_mode(Factor factor);
Walls walls_of(Factor factor);
/// What it is about, as the reason where a rule gives none.
std::string_view sentence(Factor factor);

}  // namespace bulkhead::policy
