#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"

namespace bulkhead::cli {

int run_rmi(Api& api, Words words) {
  bool force = false;
  bool no_prune = false;
  Options options("rmi", "[OPTIONS] IMAGE [IMAGE...]", "Removes images.");
  options.flag("-f,--force", force, "Remove it even where containers or other names use it");
  options.flag("--no-prune", no_prune, "Keep untagged parents");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  return for_each_name(options.arguments(), "rmi", [&](const std::string& name) {
    nlohmann::json answer =
        api.remove("/images/" + escaped(name), query_of({{"force", when(force)}, {"noprune", when(no_prune)}}));
    for (const nlohmann::json& change : answer) {
      for (const auto& [what, reference] : change.items()) {
        fmt::print("{}: {}\n", what, reference.is_string() ? reference.get<std::string>() : reference.dump());
      }
    }
  });
}

}  // namespace bulkhead::cli
