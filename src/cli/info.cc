#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/format_template.h"
#include "cli/options.h"
#include "cli/quantities.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace bulkhead::cli {
namespace {

using nlohmann::ordered_json;

struct Line {
  const char* key;    // of the engine's answer
  const char* label;  // indented where it belongs to the line above
};

constexpr Line kLines[] = {
    {"Containers", "Containers"},
    {"ContainersRunning", " Running"},
    {"ContainersPaused", " Paused"},
    {"ContainersStopped", " Stopped"},
    {"Images", "Images"},
    {"ServerVersion", "Engine version"},
    {"Driver", "Storage driver"},
    {"LoggingDriver", "Logging driver"},
    {"CgroupDriver", "Cgroup driver"},
    {"CgroupVersion", "Cgroup version"},
    {"Isolation", "Default isolation"},
    {"KernelVersion", "Kernel version"},
    {"OperatingSystem", "Operating system"},
    {"OSType", "OS type"},
    {"Architecture", "Architecture"},
    {"NCPU", "CPUs"},
    {"MemTotal", "Total memory"},
    {"Name", "Name"},
    {"ID", "ID"},
    {"DockerRootDir", "Root folder"},
};

std::string text_of(const Line& line, const ordered_json& value) {
  if (std::string_view(line.key) == "MemTotal" && value.is_number()) {
    return binary_size(value.get<double>());
  }
  return value.is_string() ? printable(value.get<std::string>()) : value.dump();
}

void print_list(const ordered_json& info, const char* key, const char* label) {
  if (!info.contains(key) || !info[key].is_array() || info[key].empty()) {
    return;
  }
  fmt::print("{}:\n", label);
  for (const ordered_json& item : info[key]) {
    fmt::print(" {}\n", item.is_string() ? printable(item.get<std::string>()) : item.dump());
  }
}

}  // namespace

int run_info(Api& api, Words words) {
  std::string format;
  Options options("info", "[OPTIONS]", "Shows what the engine is and can do.");
  options.value("-f,--format", format, "json, or a template such as '{{.ServerVersion}}'");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  http::Connection connection = api.open("GET", "/info", {});
  ordered_json info = ordered_json::parse(connection.receive_all());
  if (!format.empty()) {
    fmt::print("{}\n", format_row(format, info));
    return 0;
  }
  fmt::print("Client version: {}\nEngine at: {}\n", BULKHEAD_VERSION, api.address().text());
  for (const Line& line : kLines) {
    auto found = info.find(line.key);
    bool empty = found == info.end() || found->is_null() || (found->is_string() && found->get<std::string>().empty());
    if (!empty) {
      fmt::print("{}: {}\n", line.label, text_of(line, *found));
    }
  }
  print_list(info, "SecurityOptions", "Security options");
  print_list(info, "Labels", "Labels");
  print_list(info, "Warnings", "Warnings");
  return 0;
}

}  // namespace bulkhead::cli
