// GET /containers/{name}/json: docker inspect.
#include <nlohmann/json.hpp>

#include "api/container_view.h"
#include "api/handlers.h"
#include "image/image_store.h"

namespace bulkhead::api {

void containers_inspect(Request& request) {
  engine::Container container = request.engine.inspect(request.name);
  nlohmann::json answer = container_details(container);
  if (request.query.flag("size")) {
    add_sizes(answer, container, request.engine.images().list());
  }
  answer_json(request, 200, answer);
}

}  // namespace bulkhead::api
