// Named volumes: there are none yet, and every answer says so.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/filters.h"
#include "api/handlers.h"
#include "support/error.h"

namespace bulkhead::api {

void volumes_list(Request& request) {
  Filters::parse(request.query.get("filters")).accept_only({"dangling", "driver", "label", "name"});
  answer_json(request, 200, {{"Volumes", nlohmann::json::array()}, {"Warnings", nullptr}});
}

void volumes_inspect(Request& request) {
  throw Error(ErrorCode::kNotFound, fmt::format("get {}: no such volume", request.name));
}

void volumes_prune(Request& request) {
  answer_json(request, 200, {{"VolumesDeleted", nlohmann::json::array()}, {"SpaceReclaimed", 0}});
}

}  // namespace bulkhead::api
