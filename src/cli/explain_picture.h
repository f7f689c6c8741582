// An explanation (GET /bulkhead/explain) as a picture, bottom up: hardware, the host's kernel, on it the containers that share
// it and the jails of machines, in each of these a kernel and the container on it. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace bulkhead::cli {

/// An SVG document.
std::string explanation_picture(const nlohmann::json& explanation);

}  // namespace bulkhead::cli
