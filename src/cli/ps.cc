#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/format_template.h"
#include "cli/json_fields.h"
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
  for (std::string& name : texts_at(container, "Names")) {
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
  for (const json& port : field(container, "Ports")) {
    std::string inside = fmt::format("{}/{}", number_at(port, "PrivatePort"), text_at(port, "Type"));
    int64_t outside = number_at(port, "PublicPort");
    ports.insert(outside == 0 ? inside : fmt::format("{}:{}->{}", text_at(port, "IP"), outside, inside));
  }
  return fmt::format("{}", fmt::join(ports, ", "));
}

std::string age(const json& container) {
  auto created = TimePoint(std::chrono::seconds(number_at(container, "Created")));
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(now() - created)) + " ago";
}

std::string size_of(const json& container) {
  auto written = static_cast<double>(number_at(container, "SizeRw"));
  auto whole = static_cast<double>(number_at(container, "SizeRootFs"));
  return fmt::format("{} (virtual {})", human_size(written), human_size(whole));
}

std::string image_of(const json& container, bool no_trunc) {
  std::string image = text_at(container, "Image");
  return !no_trunc && image.starts_with("sha256:") ? short_id(image) : image;
}

ordered_json row_of(const json& container, const PsOptions& ps) {
  std::string id = text_at(container, "Id");
  std::string command = text_at(container, "Command");
  std::string labels;
  for (const auto& [key, value] : field(container, "Labels").items()) {
    labels += (labels.empty() ? "" : ",") + key + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  ordered_json row;
  row["ID"] = ps.no_trunc ? id : short_id(id);
  row["Image"] = image_of(container, ps.no_trunc);
  row["Command"] = fmt::format("\"{}\"", ps.no_trunc ? command : cut(command, kCommandWidth));
  row["RunningFor"] = age(container);
  row["CreatedAt"] = rfc3339(TimePoint(std::chrono::seconds(number_at(container, "Created"))));
  row["Status"] = text_at(container, "Status");
  row["State"] = text_at(container, "State");
  row["Ports"] = ports_of(container);
  row["Names"] = names_of(container, ps.no_trunc);
  row["Labels"] = labels;
  std::vector<std::string> networks;
  for (const auto& [name, endpoint] : field(field(container, "NetworkSettings"), "Networks").items()) {
    networks.push_back(name);
  }
  row["Networks"] = fmt::format("{}", fmt::join(networks, ","));
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
