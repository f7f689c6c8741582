#include <fmt/format.h>

#include "cli/create_container.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"

namespace bulkhead::cli {

std::string pull_image(Api& api, const std::string& reference, const std::string& platform, FILE* out, Progress::Style style) {
  auto [name, tag] = split_reference(reference);
  http::Connection connection = api.open(
      "POST", "/images/create", query_of({{"fromImage", name}, {"tag", tag.empty() ? "latest" : tag}, {"platform", platform}}));
  return Progress(out, style).follow(connection);
}

int run_pull(Api& api, Words words) {
  bool quiet = false;
  std::string platform;
  Options options("pull", "[OPTIONS] NAME[:TAG|@DIGEST]", "Gets an image from a registry.");
  options.value("--platform", platform, "Platform of the image: os/architecture");
  options.flag("-q,--quiet", quiet, "Don't show the progress");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  const std::string& reference = options.arguments().front();
  auto [name, tag] = split_reference(reference);
  if (tag.empty() && !quiet) {
    fmt::print("Using default tag: latest\n");
  }
  pull_image(api, reference, platform, stdout, quiet ? Progress::Style::kHidden : Progress::Style::kShown);
  fmt::print("{}\n", tag.empty() ? name + ":latest" : reference);
  return 0;
}

}  // namespace bulkhead::cli
