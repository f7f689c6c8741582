// The networks that are there: list and inspect.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/filters.h"
#include "api/handlers.h"
#include "network/network_store.h"

namespace bulkhead::api {
namespace {
using network::NetworkInfo;
using nlohmann::json;

json to_json(const NetworkInfo& info) {
  json pools = json::array();
  if (!info.subnet.empty()) {
    pools.push_back({{"Subnet", info.subnet}, {"Gateway", info.gateway}});
  }
  json options = json::object();
  if (!info.bridge.empty()) {
    options = {{"com.docker.network.bridge.default_bridge", "true"}, {"com.docker.network.bridge.name", info.bridge}};
  }
  return {{"Name", info.name},       {"Id", info.id},
          {"Created", info.created}, {"Scope", "local"},
          {"Driver", info.driver},   {"EnableIPv4", true},
          {"EnableIPv6", false},     {"IPAM", {{"Driver", "default"}, {"Options", nullptr}, {"Config", pools}}},
          {"Internal", false},       {"Attachable", false},
          {"Ingress", false},        {"ConfigFrom", {{"Network", ""}}},
          {"ConfigOnly", false},     {"Containers", json::object()},
          {"Options", options},      {"Labels", json::object()}};
}

json endpoints(Request& request, const NetworkInfo& info) {
  json list = json::object();
  for (const engine::Container& container : request.engine.list()) {
    if (!container.endpoint || container.endpoint->network_id != info.id) {
      continue;
    }
    const network::Endpoint& endpoint = *container.endpoint;
    list[container.id] = {
        {"Name", container.name},
        {"EndpointID", endpoint.id},
        {"MacAddress", endpoint.mac_address},
        {"IPv4Address", endpoint.address.empty() ? "" : fmt::format("{}/{}", endpoint.address, endpoint.prefix_length)},
        {"IPv6Address", ""}};
  }
  return list;
}

bool matches(const NetworkInfo& info, const Filters& filters) {
  bool of_type = !filters.has("type") || filters.matches_exactly("type", "builtin");
  // All are built in, so none is without use in Docker's sense.
  bool of_use = !filters.has("dangling") || !filters.flag("dangling", false);
  return of_type && of_use && filters.matches_pattern("name", info.name) && filters.matches_prefix("id", info.id) &&
         filters.matches_exactly("driver", info.driver) && filters.matches_exactly("scope", "local") &&
         filters.matches_labels("label", {});
}

}  // namespace

void networks_list(Request& request) {
  Filters filters = Filters::parse(request.query.get("filters"));
  filters.accept_only({"dangling", "driver", "id", "label", "name", "scope", "type"});
  json answer = json::array();
  for (const NetworkInfo& info : request.engine.networks().list()) {
    if (matches(info, filters)) {
      answer.push_back(to_json(info));
    }
  }
  answer_json(request, 200, answer);
}

void networks_inspect(Request& request) {
  NetworkInfo info = request.engine.networks().find(request.name);
  json answer = to_json(info);
  answer["Containers"] = endpoints(request, info);
  answer_json(request, 200, answer);
}

void networks_prune(Request& request) {
  Filters::parse(request.query.get("filters"));
  answer_json(request, 200, {{"NetworksDeleted", json::array()}});
}

}  // namespace bulkhead::api
