#include "cli/explain_picture.h"

#include <nlohmann/json.hpp>

namespace bulkhead::cli {
std::string explanation_picture(const nlohmann::json&) { return ""; }
std::string xml_text(std::string_view text) { return std::string(text); }
}  // namespace bulkhead::cli
