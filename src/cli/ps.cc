#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/format_template.h"
#include "cli/options.h"
#include "cli/quantities.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kCommandWidth = 20;

struct PsOptions {
  bool all = false, quiet = false, no_trunc = false, size = false, latest = false;
  std::optional<int64_t> last;
  std::vector<std::string> filters;
  std::string format;
};

std::string names_of(const json& container, bool no_trunc) {
  std::string names;
  for (const json& item : container.value("Names", json::array())) {
    std::string name = item;
    name.erase(0, name.starts_with('/') ? 1 : 0);
    // Without a link a name has no inner slash; links would show as "other/alias".
    if (no_trunc || name.find('/') == std::string::npos) {
      names += (names.empty() ? "" : ",") + name;
    }
  }
  return names;
}

std::string ports_of(const json& container) {
  std::set<std::string> ports;
  for (const json& port : container.value("Ports", json::array())) {
    std::string inside = fmt::format("{}/{}", port.value("PrivatePort", 0), port.value("Type", "tcp"));
    int outside = port.value("PublicPort", 0);
    ports.insert(outside == 0 ? inside : fmt::format("{}:{}->{}", port.value("IP", "0.0.0.0"), outside, inside));
  }
  return fmt::format("{}", fmt::join(ports, ", "));
}

std::string age(const json& container) {
  auto created = TimePoint(std::chrono::seconds(container.value("Created", int64_t{0})));
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(now() - created)) + " ago";
}

std::string size_of(const json& container) {
  auto written = container.value("SizeRw", 0.0);
  auto whole = container.value("SizeRootFs", 0.0);
  return fmt::format("{} (virtual {})", human_size(written), human_size(whole));
}

std::string image_of(const json& container, bool no_trunc) {
  std::string image = container.value("Image", "");
  return !no_trunc && image.starts_with("sha256:") ? short_id(image) : image;
}

ordered_json row_of(const json& container, const PsOptions& ps) {
  std::string id = container.value("Id", "");
  std::string command = container.value("Command", "");
  std::string labels;
  for (const auto& [key, value] : container.value("Labels", json::object()).items()) {
    labels += (labels.empty() ? "" : ",") + key + "=" + value.get<std::string>();
  }
  ordered_json row;
  row["ID"] = ps.no_trunc ? id : short_id(id);
  row["Image"] = image_of(container, ps.no_trunc);
  row["Command"] = fmt::format("\"{}\"", ps.no_trunc ? command : cut(command, kCommandWidth));
  row["RunningFor"] = age(container);
  row["CreatedAt"] = rfc3339(TimePoint(std::chrono::seconds(container.value("Created", int64_t{0}))));
  row["Status"] = container.value("Status", "");
  row["State"] = container.value("State", "");
  row["Ports"] = ports_of(container);
  row["Names"] = names_of(container, ps.no_trunc);
  row["Labels"] = labels;
  row["Networks"] = container.value("HostConfig", json::object()).value("NetworkMode", "");
  row["Size"] = ps.size ? size_of(container) : "";
  return row;
}

void print_table(const json& containers, const PsOptions& ps) {
  std::vector<std::string> titles = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"};
  if (ps.size) {
    titles.emplace_back("SIZE");
  }
  Table table(std::move(titles));
  for (const json& container : containers) {
    ordered_json row = row_of(container, ps);
    std::vector<std::string> cells;
    for (const char* key : {"ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"}) {
      cells.push_back(row[key]);
    }
    if (ps.size) {
      cells.push_back(row["Size"]);
    }
    table.add(std::move(cells));
  }
  fmt::print("{}", table.text(ps.no_trunc ? 0 : output_width()));
}

}  // namespace

int run_ps(Api& api, Words words) {
  PsOptions ps;
  Options options("ps", "[OPTIONS]", "Lists containers.");
  options.flag("-a,--all", ps.all, "Show all containers, not only running ones");
  options.list("-f,--filter", ps.filters, "Show only what matches: status=running, name=x, label=key=value, ...");
  options.value("--format", ps.format, "json, or a template such as '{{.ID}} {{.Names}}'");
  options.number("-n,--last", ps.last, "Show the last created containers");
  options.flag("-l,--latest", ps.latest, "Show the container that was created last");
  options.flag("--no-trunc", ps.no_trunc, "Don't cut the output");
  options.flag("-q,--quiet", ps.quiet, "Show ids only");
  options.flag("-s,--size", ps.size, "Show sizes");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  std::string limit = ps.latest ? "1" : ps.last ? std::to_string(*ps.last) : "";
  json containers = api.get("/containers/json", query_of({{"all", when(ps.all || !limit.empty())},
                                                          {"limit", limit},
                                                          {"size", when(ps.size)},
                                                          {"filters", filters_json(ps.filters)}}));
  if (!ps.quiet && (ps.format.empty() || ps.format == "table")) {
    print_table(containers, ps);
    return 0;
  }
  for (const json& container : containers) {
    ordered_json row = row_of(container, ps);
    fmt::print("{}\n", ps.format.empty() ? row["ID"].get<std::string>() : format_row(ps.format, row));
  }
  return 0;
}

}  // namespace bulkhead::cli
