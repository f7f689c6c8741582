#include "cli/explain_wall_text.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/explain_facts.h"
#include "cli/explain_text.h"
#include "cli/json_fields.h"
#include "cli/queries.h"

namespace bulkhead::cli {
namespace {
using nlohmann::json;

constexpr size_t kMostLines = 24;  // of one list

std::string joined(const std::vector<std::string>& words, std::string_view none = "none") {
  return words.empty() ? std::string(none) : fmt::format("{}", fmt::join(words, ", "));
}

std::vector<std::string> shortened(std::vector<std::string> words) {
  if (words.size() > kMostLines) {
    size_t more = words.size() - kMostLines;
    words.resize(kMostLines);
    words.push_back(fmt::format("and {} more (--json)", more));
  }
  return words;
}

std::string named(const json& neighbour) {
  std::string tenant = text_at(neighbour, "Tenant");
  return container_name(neighbour) + (tenant.empty() ? "" : fmt::format(" (tenant {})", tenant));
}

std::string system_calls_text(const json& seccomp) {
  std::string text;
  std::vector<std::string> others;
  for (const json& reach : field(seccomp, "SystemCalls")) {
    int64_t reachable = number_at(reach, "Reachable");
    int64_t some = number_at(reach, "WithSomeArguments");
    if (text.empty()) {
      text = fmt::format("{} of {} reach the kernel", reachable, number_at(reach, "Known"));
      text += some > 0 ? fmt::format(" ({} of them with some arguments only)", some) : "";
    } else {
      others.push_back(fmt::format("{} of {} of {}", reachable, number_at(reach, "Known"), text_at(reach, "Abi")));
    }
  }
  return text.empty() ? "not evaluated" : others.empty() ? text : fmt::format("{}; {}", text, joined(others));
}

std::string seccomp_text(const json& seccomp) {
  std::string mode = text_at(seccomp, "Mode");
  if (mode != "filter") {
    return mode == "none" ? "no filter" : mode;
  }
  int64_t count = number_at(seccomp, "Filters");
  std::string text = fmt::format("{} filter{}", count, count == 1 ? "" : "s");
  int64_t instructions = number_at(seccomp, "Instructions");
  return instructions == 0 ? text + ", not read" : fmt::format("{}, {} instructions", text, instructions);
}

std::string title_of(const json& process) {
  std::string role = text_at(process, "Role");
  std::string id = text_at(process, "ExecId").substr(0, 12);
  constexpr size_t kLongest = 60;
  return fmt::format("{} {}, {}{}", cut(text_at(process, "Command"), kLongest), number_at(process, "Pid"),
                     role == "init"       ? "the container's first process"
                     : role == "other"    ? "in the container"
                     : role == "stranger" ? "in its namespaces, but NOT in its cgroup"
                                          : role,
                     id.empty() ? "" : " " + id);
}

void add_namespaces(Lines& lines, const json& process, const json& shared, bool guest) {
  std::vector<std::string> own;
  std::vector<std::string> outer;
  for (const auto& [kind, found] : field(process, "Namespaces").items()) {
    (flag_at(found, "Outer") ? outer : own).push_back(kind);
  }
  lines.field("namespaces", "own: " + joined(own));
  if (!outer.empty()) {
    lines.field("namespaces", (guest ? "of the guest: " : "of the host: ") + joined(outer));
  }
  for (const auto& [kind, others] : shared.items()) {
    lines.field("namespaces", fmt::format("{} shared with {}", kind, names_of(others)));
  }
}

/// What confines a process, as one text: equal ones are told once.
std::string wall_of(const json& process) {
  json wall = process;
  for (const char* own : {"Pid", "Parent", "Role", "ExecId", "Command", "Memory", "ProcessorTime"}) {
    wall.erase(own);
  }
  return wall.dump(-1, ' ', false, json::error_handler_t::replace);
}

void add_process(Lines& lines, const json& process, const json& shared, bool guest) {
  const json& capabilities = field(process, "Capabilities");
  lines.field("user", fmt::format("{}, group {}", number_at(process, "User"), number_at(process, "Group")));
  add_namespaces(lines, process, shared, guest);
  auto effective = texts_at(capabilities, "Effective");
  auto bounding = texts_at(capabilities, "Bounding");
  lines.field("capabilities", fmt::format("{} in effect: {}", effective.size(), joined(effective)));
  if (bounding != effective) {
    lines.field("capabilities", fmt::format("{} can be had at most: {}", bounding.size(), joined(bounding)));
  }
  lines.field("no new privileges", flag_at(process, "NoNewPrivileges") ? "on" : "off");
  lines.field("seccomp", seccomp_text(field(process, "Seccomp")));
  lines.field("system calls", system_calls_text(field(process, "Seccomp")));
}

void add_processes(Lines& lines, const json& wall, const json& shared, bool guest) {
  std::map<std::string, std::string> first;  // who was the first behind a wall
  size_t shown = 0;
  for (const json& process : field(wall, "Processes")) {
    if (++shown > kMostLines) {
      continue;
    }
    auto [known, is_new] = first.emplace(wall_of(process), std::to_string(number_at(process, "Pid")));
    lines.field("process", title_of(process) + (is_new ? "" : fmt::format(": the same wall as {}", known->second)));
    if (is_new) {
      add_process(lines, process, shown == 1 ? shared : json::object(), guest);
    }
  }
  int64_t more = number_at(wall, "MoreProcesses") + static_cast<int64_t>(shown > kMostLines ? shown - kMostLines : 0);
  if (more > 0) {
    lines.field("process", fmt::format("and {} more (--json)", more));
  }
}

std::string limit_text(const json& limit) {
  int64_t number = number_at(limit, "Number");
  std::string name = text_at(limit, "Name");
  if (number < 0) {
    return name + " unlimited";
  }
  if (name == "cpus" || name == "mems") {
    return fmt::format("{} {}", name, text_at(limit, "Text"));
  }
  bool bytes = name == "memory" || name == "memory+swap" || name == "swap";
  bool time = name == "cpu-quota" || name == "cpu-period";
  return fmt::format("{} {}", name,
                     bytes ? bytes_text(static_cast<uint64_t>(number)) : fmt::format("{}{}", number, time ? " us" : ""));
}

void add_limits(Lines& lines, const json& wall) {
  std::vector<std::string> set;
  for (const json& limit : field(wall, "Limits")) {
    set.push_back(limit_text(limit));
  }
  lines.field("limits", joined(set, "not measured"));
}

void add_paths(Lines& lines, const json& wall, bool guest) {
  size_t shown = 0;
  std::vector<std::string> masks;
  for (const json& path : field(wall, "Paths")) {
    std::string access = flag_at(path, "ReadOnly") ? "read-only" : "read-write";
    if (text_at(path, "Kind") == "host") {
      if (++shown <= kMostLines) {
        lines.field(guest ? "guest's files" : "host's files",
                    fmt::format("{} at {}, {}", text_at(path, "Source"), text_at(path, "Inside"), access));
      }
    } else if (text_at(path, "Kind") == "mask") {
      masks.push_back(text_at(path, "Inside"));
    } else if (text_at(path, "Inside") == "/") {
      lines.field("root", fmt::format("{}, {}", text_at(path, "Type"), access));
    }
  }
  if (shown == 0) {
    lines.field(guest ? "guest's files" : "host's files", "none");
  } else if (shown > kMostLines) {
    lines.field(guest ? "guest's files" : "host's files", fmt::format("and {} more (--json)", shown - kMostLines));
  }
  if (!masks.empty()) {
    lines.field("hidden files", joined(masks));
  }
}

void add_devices(Lines& lines, const json& wall) {
  std::vector<std::string> usable;
  std::vector<std::string> closed;
  for (const json& device : field(wall, "Devices")) {
    std::string access = text_at(device, "Access");
    bool opens = access.find_first_of("rw?") != std::string::npos;
    (opens ? usable : closed).push_back(text_at(device, "Path"));
  }
  lines.field("devices", joined(shortened(std::move(usable))));
  if (!closed.empty()) {
    lines.field("devices", "closed by the cgroup: " + joined(shortened(std::move(closed))));
  }
}

/// All that may be opened by number, whatever nodes there are.
void add_device_rules(Lines& lines, const json& wall) {
  std::vector<std::string> rules = texts_at(wall, "DeviceRules");
  if (!rules.empty()) {
    lines.field("device rules", joined(shortened(std::move(rules))));
  }
}

void add_gaps(Lines& lines, const json& wall) {
  for (const json& gap : field(wall, "NotMeasured")) {
    lines.field("not measured", fmt::format("{}: {}", text_at(gap, "What"), text_at(gap, "Why")));
  }
}

}  // namespace

std::string names_of(const json& neighbours) {
  std::vector<std::string> names;
  for (const json& each : neighbours) {
    if (names.size() == kMostLines) {
      names.push_back(fmt::format("and {} more", neighbours.size() - kMostLines));
      break;
    }
    names.push_back(named(each));
  }
  return joined(names);
}

void add_wall(Lines& lines, const json& wall, const json& shared, bool guest) {
  add_processes(lines, wall, shared, guest);
  add_limits(lines, wall);
  add_paths(lines, wall, guest);
  add_devices(lines, wall);
  add_device_rules(lines, wall);
  add_gaps(lines, wall);
}

void add_machine(Lines& lines, const json& machine) {
  lines.section("QEMU's jail, as the host measures it");
  lines.field("accelerator", fmt::format("{}: {}", text_at(machine, "Accelerator"), text_at(machine, "AcceleratorHow")));
  add_processes(lines, machine, json::object(), false);
  std::vector<std::string> files;
  for (const auto& [kind, count] : field(machine, "OpenFiles").items()) {
    files.push_back(fmt::format("{} {}", count.is_number() ? count.get<int64_t>() : 0, kind));
  }
  lines.field("open files", joined(files));
  add_limits(lines, machine);
  add_paths(lines, machine, false);
  add_device_rules(lines, machine);
  add_gaps(lines, machine);
}

}  // namespace bulkhead::cli
