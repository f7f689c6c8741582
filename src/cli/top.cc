#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace bulkhead::cli {

int run_top(Api& api, Words words) {
  Options options("top", "CONTAINER [ps OPTIONS]", "Shows the processes of a container.", Order::kBeforeArguments);
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  const std::vector<std::string>& arguments = options.arguments();
  std::string ps_options = fmt::format("{}", fmt::join(arguments.begin() + 1, arguments.end(), " "));
  nlohmann::json answer = api.get(container_path(arguments.front(), "top"), query_of({{"ps_args", ps_options}}));
  Table table(texts_at(answer, "Titles"));
  for (const nlohmann::json& process : field(answer, "Processes")) {
    if (process.is_array()) {
      table.add(process.get<std::vector<std::string>>());
    }
  }
  fmt::print("{}", table.text(output_width()));
  return 0;
}

}  // namespace bulkhead::cli
