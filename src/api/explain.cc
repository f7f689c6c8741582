// What stands between containers, their neighbours and the host, measured at the moment of the call. Beyond Docker's API.
#include <nlohmann/json.hpp>

#include "api/explain_view.h"
#include "api/handlers.h"

namespace bulkhead::api {

void explain_host(Request& request) { answer_json(request, 200, explanation_view(request.engine.explain({}))); }

void explain_container(Request& request) {
  answer_json(request, 200, explanation_view(request.engine.explain({request.name})));
}

}  // namespace bulkhead::api
