#include "cli/queries.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/api.h"
#include "cli/environment.h"
#include "cli/error_text.h"
#include "support/error.h"

namespace bulkhead::cli {

http::Query query_of(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  http::Query query;
  for (const auto& [name, value] : pairs) {
    if (!value.empty()) {
      query.add(std::string(name), std::string(value));
    }
  }
  return query;
}

std::string_view when(bool condition) { return condition ? "1" : ""; }

std::string filters_json(const std::vector<std::string>& filters) {
  if (filters.empty()) {
    return "";
  }
  nlohmann::json json = nlohmann::json::object();
  for (const std::string& filter : filters) {
    if (filter.find('=') == std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter '{}': write key=value", filter));
    }
    auto [key, value] = key_and_value(filter);
    json[key][value] = true;
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int for_each_name(const std::vector<std::string>& names, std::string_view verb,
                  const std::function<void(const std::string&)>& action) {
  int exit_code = 0;
  for (const std::string& name : names) {
    try {
      action(name);
    } catch (const Error& error) {
      (void)fflush(stdout);
      fmt::print(stderr, "bulkhead: {}\n", error_text(error, verb));
      exit_code = 1;
    }
  }
  return exit_code;
}

std::pair<std::string, std::string> split_reference(std::string_view reference) {
  size_t at = reference.find('@');
  if (at != std::string_view::npos) {
    return {std::string(reference.substr(0, at)), std::string(reference.substr(at + 1))};
  }
  size_t slash = reference.rfind('/');
  size_t colon = reference.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon == std::string_view::npos) {
    return {std::string(reference), ""};
  }
  return {std::string(reference.substr(0, colon)), std::string(reference.substr(colon + 1))};
}

std::string short_id(std::string_view id) {
  size_t colon = id.find(':');
  return std::string((colon == std::string_view::npos ? id : id.substr(colon + 1)).substr(0, 12));
}

std::string container_path(std::string_view name, std::string_view verb) {
  return fmt::format("/containers/{}{}{}", escaped(name), verb.empty() ? "" : "/", verb);
}

}  // namespace bulkhead::cli
