#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {

int run_rm(Api& api, Words words) {
  bool force = false;
  bool volumes = false;
  bool link = false;
  Options options("rm", "[OPTIONS] CONTAINER [CONTAINER...]", "Removes containers.");
  options.flag("-f,--force", force, "Kill a running container and remove it");
  options.flag("-l,--link", link, "Remove the link only");
  options.flag("-v,--volumes", volumes, "Remove its anonymous volumes too");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  return for_each_name(options.arguments(), "rm", [&](const std::string& name) {
    try {
      api.remove(container_path(name, ""), query_of({{"force", when(force)}, {"v", when(volumes)}, {"link", when(link)}}));
    } catch (const Error& error) {
      if (!force || error.code() != ErrorCode::kNotFound) {
        throw;
      }
      // What is to be gone is gone: docker says so, and succeeds.
      fmt::print(stderr, "bulkhead: {}\n", error.message());
      return;
    }
    fmt::print("{}\n", name);
  });
}

}  // namespace bulkhead::cli
