#include "cli/explain_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/explain_text.h"
#include "cli/json_fields.h"

namespace bulkhead::cli {

using nlohmann::json;

const json& first_process(const json& wall) {
  static const json kNothing;
  const json& processes = field(wall, "Processes");
  return processes.is_array() && !processes.empty() ? processes.front() : kNothing;
}

std::string container_name(const json& container) {
  std::string name = text_at(container, "Name");
  return name.starts_with('/') ? name.substr(1) : name;
}

SystemCalls system_calls(const json& process) {
  const json& list = field(field(process, "Seccomp"), "SystemCalls");
  if (!list.is_array() || list.empty()) {
    return {};
  }
  return {.reachable = number_at(list.front(), "Reachable"), .known = number_at(list.front(), "Known")};
}

std::string system_calls_brief(const json& process) {
  SystemCalls calls = system_calls(process);
  return calls.known == 0 ? "system calls: not measured" : fmt::format("{} of {} system calls", calls.reachable, calls.known);
}

std::string limit_brief(const json& wall, std::string_view name) {
  for (const json& limit : field(wall, "Limits")) {
    if (text_at(limit, "Name") == name) {
      int64_t number = number_at(limit, "Number");
      return number < 0         ? fmt::format("{}: no limit", name)
             : name == "memory" ? fmt::format("memory: {}", bytes_text(static_cast<uint64_t>(number)))
                                : fmt::format("{}: {}", name, number);
    }
  }
  return fmt::format("{}: unknown", name);
}

size_t count_paths(const json& wall, std::string_view kind) {
  const json& paths = field(wall, "Paths");
  return static_cast<size_t>(
      std::count_if(paths.begin(), paths.end(), [&](const json& path) { return text_at(path, "Kind") == kind; }));
}

std::string outer_namespaces(const json& process) {
  std::vector<std::string> outer;
  for (const auto& [kind, found] : field(process, "Namespaces").items()) {
    if (flag_at(found, "Outer") && kind != "user" && kind != "time") {
      outer.push_back(kind);
    }
  }
  return fmt::format("{}", fmt::join(outer, ", "));
}

std::vector<std::string> weaker_ones(const json& container) {
  std::vector<std::string> found;
  for (const json& each : field(container, "Differences")) {
    if (flag_at(each, "Weaker")) {
      found.push_back(text_at(each, "What"));
    }
  }
  return found;
}

std::string differences_line(const json& container) {
  std::string text = container_name(container);
  for (const json& each : field(container, "Differences")) {
    text += fmt::format(" | {}: asked for {}, in force {}", text_at(each, "What"), text_at(each, "Asked"),
                        text_at(each, "InForce"));
  }
  return text;
}

}  // namespace bulkhead::cli
