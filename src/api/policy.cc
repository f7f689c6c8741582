// What Docker's API has no word for, below /bulkhead: the policy in force, why a container is as it is, and which running ones
// today's policy would not have.
#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

json view_of(const engine::Container& container) {
  return {{"Id", container.id}, {"Name", "/" + container.name}, {"Isolation", container.host_config.isolation}};
}

}  // namespace

void policy_status(Request& request) {
  engine::PolicyStatus status = request.engine.policy_status();
  answer_json(request, 200,
              {{"File", status.file}, {"Rules", status.rules}, {"InForce", status.in_force}, {"Error", status.error}});
}

void policy_of_container(Request& request) {
  engine::Container container = request.engine.inspect(request.name);
  json answer = view_of(container);
  answer["Decision"] = container.policy ? policy::to_json(container.policy->decision) : json(nullptr);
  answer["Request"] = container.policy ? policy::to_json(container.policy->request) : json(nullptr);
  answer["Text"] = container.policy ? container.policy->decision.text() : "it was made before there was a policy";
  answer_json(request, 200, answer);
}

void policy_audit(Request& request) {
  json answer = json::array();
  for (const engine::PolicyFinding& finding : request.engine.audit_policy()) {
    answer.push_back({{"Id", finding.container},
                      {"Name", "/" + finding.name},
                      {"Isolation", finding.isolation},
                      {"Decision", policy::to_json(finding.decision)},
                      {"Wrong", finding.wrong}});
  }
  answer_json(request, 200, answer);
}

}  // namespace bulkhead::api
