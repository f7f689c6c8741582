#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/quantities.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace bulkhead::cli {
namespace {

constexpr size_t kCommandWidth = 45;

std::vector<std::string> row_of(const nlohmann::json& step, bool no_trunc) {
  auto created = TimePoint(std::chrono::seconds(number_at(step, "Created")));
  std::string id = text_at(step, "Id");
  std::string command = text_at(step, "CreatedBy");
  return {no_trunc || id == "<missing>" ? id : short_id(id),
          human_duration(std::chrono::duration_cast<std::chrono::seconds>(now() - created)) + " ago",
          no_trunc ? command : cut(command, kCommandWidth), human_size(static_cast<double>(number_at(step, "Size"))),
          text_at(step, "Comment")};
}

}  // namespace

int run_history(Api& api, Words words) {
  bool no_trunc = false;
  bool quiet = false;
  Options options("history", "[OPTIONS] IMAGE", "Shows the steps an image was made in.");
  options.flag("--no-trunc", no_trunc, "Don't cut the output");
  options.flag("-q,--quiet", quiet, "Show ids only");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  nlohmann::json steps = api.get(fmt::format("/images/{}/history", escaped(options.arguments().front())));
  Table table({"IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"});
  for (const nlohmann::json& step : steps) {
    std::vector<std::string> row = row_of(step, no_trunc);
    if (quiet) {
      fmt::print("{}\n", printable(row.front()));
    } else {
      table.add(std::move(row));
    }
  }
  if (!quiet) {
    fmt::print("{}", table.text(no_trunc ? 0 : output_width()));
  }
  return 0;
}

}  // namespace bulkhead::cli
