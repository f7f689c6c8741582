#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/error_text.h"
#include "cli/format_template.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::ordered_json;

/// The engine's own order of fields, as docker shows it.
ordered_json get(Api& api, const std::string& path, bool size) {
  http::Connection connection = api.open("GET", path, query_of({{"size", when(size)}}));
  return ordered_json::parse(connection.receive_all());
}

ordered_json find(Api& api, const std::string& name, const std::string& type, bool size) {
  if (type != "image") {
    try {
      return get(api, container_path(name, "json"), size);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound || type == "container") {
        throw;
      }
    }
  }
  try {
    return get(api, fmt::format("/images/{}/json", escaped(name)), false);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound || type == "image") {
      throw;
    }
  }
  throw Error(ErrorCode::kNotFound, fmt::format("No such object: {}; 'bulkhead ps -a' and 'bulkhead images' list them", name));
}

}  // namespace

int run_inspect(Api& api, Words words) {
  std::string format;
  std::string type;
  bool size = false;
  Options options("inspect", "[OPTIONS] NAME|ID [NAME|ID...]", "Shows everything about containers or images.");
  options.value("-f,--format", format, "json, or a template such as '{{.State.Status}}'");
  options.flag("-s,--size", size, "Show the sizes of containers");
  options.value("--type", type, "container or image");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  if (!type.empty() && type != "container" && type != "image") {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid argument '{}' for --type: container or image", type));
  }
  ordered_json found = ordered_json::array();
  int exit_code = for_each_name(options.arguments(), "inspect", [&](const std::string& name) {
    ordered_json object = find(api, name, type, size);
    if (!format.empty()) {
      fmt::print("{}\n", format_row(format, object));
    }
    found.push_back(std::move(object));
  });
  if (format.empty()) {
    fmt::print("{}\n", found.dump(4, ' ', false, ordered_json::error_handler_t::replace));
  }
  return exit_code;
}

}  // namespace bulkhead::cli
