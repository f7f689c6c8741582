// JSON from outside: parsed with a limit on nesting, so that neither memory nor stack grows out of proportion to the text.
// Include in .cc files only.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace bulkhead::oci {

/// Throws kDataLoss "`what`: ...": not JSON, or nested deeper than 64.
nlohmann::json parse_bounded_json(std::string_view text, std::string_view what);

}  // namespace bulkhead::oci
