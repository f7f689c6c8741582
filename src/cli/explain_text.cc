#include "cli/explain_text.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "cli/explain_facts.h"
#include "cli/explain_wall_text.h"
#include "cli/json_fields.h"
#include "cli/queries.h"

namespace bulkhead::cli {
namespace {
using nlohmann::json;

std::string time_text(int64_t milliseconds) {
  return milliseconds < 10'000 ? fmt::format("{} ms", milliseconds) : fmt::format("{} s", milliseconds / 1000);
}

void add_differences(Lines& lines, const json& container) {
  const json& differences = field(container, "Differences");
  if (!differences.empty()) {
    lines.section("ASKED FOR / IN FORCE");
  }
  for (const json& each : differences) {
    lines.line(fmt::format("  {} {}: asked for {} / in force {}", flag_at(each, "Weaker") ? "!" : " ", text_at(each, "What"),
                           text_at(each, "Asked"), text_at(each, "InForce")));
  }
}

void add_kernel(Lines& lines, const json& container, const json& host) {
  const json& kernel = field(container, "Kernel");
  lines.section("kernel");
  lines.field("release", fmt::format("{} (host: {})", text_at(kernel, "Release"), text_at(host, "Release")));
  lines.field("boot id", text_at(kernel, "BootId"));
  const json& same = field(kernel, "IsHosts");
  lines.field("boot id", !same.is_boolean() ? "not measured"
                         : same.get<bool>() ? "that of the host: its kernel is shared"
                                            : "not that of the host: a kernel of its own");
  bool guest = text_at(container, "ToldBy") == "guest";
  lines.field("shared with", guest ? "nobody" : "the host; " + names_of(field(container, "OnSameKernel")));
}

void add_system(Lines& lines, const json& container) {
  lines.section("what the wall itself runs");
  for (const json& process : field(container, "SystemProcesses")) {
    lines.field(text_at(process, "Name"),
                fmt::format("{} in the {}: {} of memory, {} of processor time", number_at(process, "Pid"),
                            text_at(process, "Where"), bytes_text(static_cast<uint64_t>(number_at(process, "Memory"))),
                            time_text(number_at(process, "ProcessorTime"))));
  }
}

void add_container(Lines& lines, const json& container, const json& host) {
  std::string tenant = text_at(container, "Tenant");
  lines.line(fmt::format("{} ({}): {} isolation, image {}{}", container_name(container), short_id(text_at(container, "Id")),
                         text_at(container, "Isolation"), text_at(container, "Image"),
                         tenant.empty() ? "" : ", tenant " + tenant));
  if (std::string failure = text_at(container, "Error"); !failure.empty()) {
    lines.line("  could not be measured: " + failure);
    return;
  }
  add_differences(lines, container);
  add_kernel(lines, container, host);
  bool guest = text_at(container, "ToldBy") == "guest";
  lines.section(guest ? "inside, in the guest's own words (the host can't check them)" : "the wall, as the host measures it");
  add_wall(lines, field(container, "Wall"), field(container, "NamespacesShared"), guest);
  if (field(container, "Machine").is_object()) {
    add_machine(lines, field(container, "Machine"));
  }
  add_system(lines, container);
}

}  // namespace

std::string bytes_text(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return unit == 0 || size >= 100 ? fmt::format("{:.0f} {}", size, kUnits.at(unit))
                                  : fmt::format("{:.3g} {}", size, kUnits.at(unit));
}

std::string explanation_text(const json& explanation) {
  const json& host = field(field(explanation, "Host"), "Kernel");
  const json& containers = field(explanation, "Containers");
  Lines lines;
  lines.line(fmt::format("host {}: kernel {}, {}, boot id {}", text_at(host, "HostName"), text_at(host, "Release"),
                         text_at(host, "Machine"), text_at(host, "BootId")));
  for (const json& container : containers) {
    lines.line("");
    add_container(lines, container, host);
  }
  if (containers.empty()) {
    lines.line("no container runs");
  }
  return lines.take();
}

}  // namespace bulkhead::cli
