#include <fmt/format.h>

#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"

namespace bulkhead::cli {

int run_tag(Api& api, Words words) {
  Options options("tag", "SOURCE[:TAG] TARGET[:TAG]", "Gives an image another name.");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(2, 2);
  auto [repository, tag] = split_reference(options.arguments()[1]);
  api.command(fmt::format("/images/{}/tag", escaped(options.arguments()[0])), query_of({{"repo", repository}, {"tag", tag}}));
  return 0;
}

}  // namespace bulkhead::cli
