// POST /containers/create.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "api/container_name.h"
#include "api/handlers.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

const json& object_at(const json& object, const char* name) {
  static const json kEmpty = json::object();
  auto found = object.find(name);
  if (found == object.end() || found->is_null()) {
    return kEmpty;
  }
  if (!found->is_object()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} is not an object", name));
  }
  return *found;
}

bool is_empty_value(const json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         ((value.is_array() || value.is_object()) && value.empty());
}

/// What can be asked of a container's place in a network, and isn't there for the built-in ones (in Docker neither).
void check_networking(const json& networking, const std::string& network_mode) {
  const json& endpoints = object_at(networking, "EndpointsConfig");
  for (const auto& [network, endpoint] : endpoints.items()) {
    bool is_default = network == "default" && network_mode == "bridge";
    if (network != network_mode && !is_default) {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("NetworkingConfig.EndpointsConfig.{}: a second network beside '{}' is not available yet", network,
                              network_mode));
    }
    if (!endpoint.is_object()) {
      continue;
    }
    if (!is_empty_value(object_at(endpoint, "IPAMConfig"))) {
      throw Error(ErrorCode::kInvalidArgument,
                  "invalid endpoint settings:\nuser specified IP address is supported on user defined networks only");
    }
    for (const char* refused : {"Links", "Aliases", "MacAddress", "DriverOpts"}) {
      if (auto value = endpoint.find(refused); value != endpoint.end() && !is_empty_value(*value)) {
        throw Error(ErrorCode::kNotSupported,
                    fmt::format("NetworkingConfig.EndpointsConfig.{}.{} is not available on the network '{}'", network, refused,
                                network_mode));
      }
    }
  }
}

}  // namespace

std::string checked_name(std::string name) {
  if (name.starts_with('/')) {
    name.erase(0, 1);
  }
  bool valid = name.size() >= 2 && std::isalnum(static_cast<unsigned char>(name[0])) != 0 &&
               std::all_of(name.begin(), name.end(), [](unsigned char letter) {
                 return (std::isalnum(letter) != 0 && letter < 0x80) || letter == '_' || letter == '.' || letter == '-';
               });
  if (!valid) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("Invalid container name ({}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name));
  }
  return name;
}

void containers_create(Request& request) {
  json body = read_json(request);
  if (body.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "config cannot be empty in order to create a container");
  }
  engine::CreateRequest create;
  if (std::string name = request.query.get("name"); !name.empty()) {
    create.name = checked_name(std::move(name));
  }
  create.platform = request.query.get("platform");
  create.host_config = engine::parse_host_config(object_at(body, "HostConfig"));
  check_networking(object_at(body, "NetworkingConfig"), create.host_config.network_mode);
  body.erase("HostConfig");
  body.erase("NetworkingConfig");
  create.config = engine::parse_container_config(body);
  create.caller = caller_of(request);
  engine::CreateResult result = request.engine.create(create);
  answer_json(request, 201, {{"Id", result.id}, {"Warnings", result.warnings}});
}

}  // namespace bulkhead::api
