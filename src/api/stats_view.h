// A container's statistics as Docker's API shows them. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/statistics.h"

namespace bulkhead::api {

/// `before`: the sample that rates are counted from; nullptr where there is none. `now`: nullptr where the container doesn't
/// run: an answer that is there and says nothing.
nlohmann::json stats_view(const std::string& id, const std::string& name, const engine::ContainerStatistics* now,
                          const engine::ContainerStatistics* before);

}  // namespace bulkhead::api
