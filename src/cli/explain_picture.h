// An explanation (GET /bulkhead/explain) as a picture: host, kernels, walls and containers, as SVG. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace bulkhead::cli {

std::string explanation_picture(const nlohmann::json& explanation);

/// SECURITY: text for XML 1.0: what has a meaning there is escaped, what may not stand there (control characters, broken
/// UTF-8) becomes '?'.
std::string xml_text(std::string_view text);

}  // namespace bulkhead::cli
