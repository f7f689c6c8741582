// What the API names and this engine doesn't have: said plainly, or answered with nothing where clients only look.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "support/error.h"

namespace bulkhead::api {

void not_available(Request& request) {
  throw Error(ErrorCode::kNotSupported,
              fmt::format("{} {} is not available in this engine yet", request.exchange.head().method, request.path));
}

void no_swarm(Request& /*request*/) {
  throw Error(ErrorCode::kUnavailable, "This node is not a swarm manager: there is no swarm.");
}

void plugins_list(Request& request) { answer_json(request, 200, nlohmann::json::array()); }

void build_prune(Request& request) {
  answer_json(request, 200, {{"CachesDeleted", nlohmann::json::array()}, {"SpaceReclaimed", 0}});
}

}  // namespace bulkhead::api
