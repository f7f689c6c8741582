#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/format_template.h"
#include "cli/options.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace bulkhead::cli {
namespace {

using nlohmann::ordered_json;

void print_line(const ordered_json& server, const char* key, const char* label) {
  if (server.contains(key) && server[key].is_string() && !server[key].get<std::string>().empty()) {
    fmt::print(" {:<18}{}\n", label, printable(server[key].get<std::string>()));
  }
}

}  // namespace

int run_version(Api& api, Words words) {
  std::string format;
  Options options("version", "[OPTIONS]", "Shows the versions of client and engine.");
  options.value("-f,--format", format, "json, or a template such as '{{.Server.Version}}'");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  http::Connection connection = api.open("GET", "/version", {});
  ordered_json server = ordered_json::parse(connection.receive_all());
  std::string api_version = fmt::format("1.{}", api.minor_version());
  if (!format.empty()) {
    ordered_json both = {{"Client", {{"Version", BULKHEAD_VERSION}, {"ApiVersion", api_version}}}, {"Server", server}};
    fmt::print("{}\n", format_row(format, both));
    return 0;
  }
  fmt::print("Client:\n {:<18}{}\n {:<18}{}\n\nEngine:\n", "Version:", BULKHEAD_VERSION, "API version:", api_version);
  print_line(server, "Version", "Version:");
  print_line(server, "ApiVersion", "API version:");
  print_line(server, "MinAPIVersion", "Oldest API:");
  print_line(server, "GitCommit", "Commit:");
  print_line(server, "Os", "OS:");
  print_line(server, "Arch", "Architecture:");
  print_line(server, "KernelVersion", "Kernel:");
  return 0;
}

}  // namespace bulkhead::cli
