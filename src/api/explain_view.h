// Measured facts as JSON. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/explanation.h"

namespace bulkhead::api {

nlohmann::json explanation_view(const engine::Explanation& explanation);

}  // namespace bulkhead::api
