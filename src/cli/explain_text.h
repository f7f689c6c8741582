// An explanation (GET /bulkhead/explain) as text for a terminal. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace bulkhead::cli {

/// SECURITY: names and paths come from containers: no control character of theirs gets through.
std::string explanation_text(const nlohmann::json& explanation);

/// 1536 -> "1.5 KiB".
std::string bytes_text(uint64_t bytes);

}  // namespace bulkhead::cli
