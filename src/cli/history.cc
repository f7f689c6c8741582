#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

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

constexpr size_t kCommandWidth = 45;

ordered_json row_of(const json& step, bool no_trunc) {
  auto created = TimePoint(std::chrono::seconds(number_at(step, "Created")));
  std::string id = text_at(step, "Id");
  std::string command = text_at(step, "CreatedBy");
  ordered_json row;
  row["ID"] = no_trunc || id == "<missing>" ? id : short_id(id);
  row["CreatedSince"] = human_duration(std::chrono::duration_cast<std::chrono::seconds>(now() - created)) + " ago";
  row["CreatedAt"] = rfc3339(created);
  row["CreatedBy"] = no_trunc ? command : cut(command, kCommandWidth);
  row["Size"] = human_size(static_cast<double>(number_at(step, "Size")));
  row["Comment"] = text_at(step, "Comment");
  return row;
}

}  // namespace

int run_history(Api& api, Words words) {
  bool no_trunc = false;
  bool quiet = false;
  std::string format;
  Options options("history", "[OPTIONS] IMAGE", "Shows the steps an image was made in.");
  options.value("--format", format, "json, or a template such as '{{.CreatedBy}}'");
  options.flag("--no-trunc", no_trunc, "Don't cut the output");
  options.flag("-q,--quiet", quiet, "Show ids only");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  json steps = api.get(fmt::format("/images/{}/history", escaped(options.arguments().front())));
  Table table({"IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"});
  for (const json& step : steps) {
    ordered_json row = row_of(step, no_trunc);
    if (quiet) {
      fmt::print("{}\n", printable(row["ID"].get<std::string>()));
    } else if (!format.empty()) {
      fmt::print("{}\n", format_row(format, row));
    } else {
      table.add({row["ID"], row["CreatedSince"], row["CreatedBy"], row["Size"], row["Comment"]});
    }
  }
  if (!quiet && format.empty()) {
    fmt::print("{}", table.text(no_trunc ? 0 : output_width()));
  }
  return 0;
}

}  // namespace bulkhead::cli
