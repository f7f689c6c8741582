// `bulkhead explain`: what stands between a container, its neighbours and the host, as it was measured just now.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/explain_picture.h"
#include "cli/explain_text.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {
using nlohmann::json;

void put_out(const std::string& text, const std::string& file) {
  if (file.empty()) {
    fmt::print("{}", text);
  } else {
    constexpr mode_t kMode = 0644;
    replace_file(file, text, kMode, Durability::kUnsynced);
  }
}

}  // namespace

int run_explain(Api& api, Words words) {
  bool as_json = false;
  bool as_picture = false;
  std::string output;
  Options options("explain", "[OPTIONS] [CONTAINER]",
                  "Shows what stands between a container, its neighbours and the host: measured, not what was asked for. "
                  "Without a container: the whole host.");
  options.flag("--json", as_json, "Print the facts as JSON");
  options.flag("--picture", as_picture, "Draw host, kernels and walls as SVG");
  options.value("-o,--output", output, "Write to a file");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 1);
  if (as_json && as_picture) {
    throw Error(ErrorCode::kInvalidArgument, "--json and --picture can't both be had at once");
  }
  json facts = options.arguments().empty()
                   ? api.get("/bulkhead/explain")
                   : api.get(fmt::format("/bulkhead/containers/{}/explain", escaped(options.arguments().front())));
  if (as_json) {
    put_out(facts.dump(4, ' ', false, json::error_handler_t::replace) + "\n", output);
  } else {
    put_out(as_picture ? explanation_picture(facts) : explanation_text(facts), output);
  }
  return 0;
}

}  // namespace bulkhead::cli
