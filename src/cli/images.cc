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

struct ImagesOptions {
  bool all = false, quiet = false, no_trunc = false, digests = false;
  std::vector<std::string> filters;
  std::string format;
};

std::string digest_of(const json& image, const std::string& repository) {
  for (const std::string& reference : texts_at(image, "RepoDigests")) {
    auto [name, digest] = split_reference(reference);
    if (name == repository || repository == "<none>") {
      return digest;
    }
  }
  return "<none>";
}

ordered_json row_of(const json& image, const std::string& repository, const std::string& tag, const ImagesOptions& options) {
  auto created = TimePoint(std::chrono::seconds(number_at(image, "Created")));
  std::string id = text_at(image, "Id");
  ordered_json row;
  row["Repository"] = repository;
  row["Tag"] = tag;
  row["Digest"] = digest_of(image, repository);
  row["ID"] = options.no_trunc ? id : short_id(id);
  row["CreatedSince"] = created.time_since_epoch().count() <= 0
                            ? "N/A"
                            : human_duration(std::chrono::duration_cast<std::chrono::seconds>(now() - created)) + " ago";
  row["CreatedAt"] = rfc3339(created);
  row["Size"] = human_size(static_cast<double>(number_at(image, "Size")));
  return row;
}

/// One row a tag; images without tags have one row.
std::vector<ordered_json> rows_of(const json& image, const ImagesOptions& options) {
  std::vector<ordered_json> rows;
  for (const std::string& reference : texts_at(image, "RepoTags")) {
    auto [repository, tag] = split_reference(reference);
    rows.push_back(row_of(image, repository, tag, options));
  }
  if (rows.empty()) {
    std::vector<std::string> digests = texts_at(image, "RepoDigests");
    rows.push_back(row_of(image, digests.empty() ? "<none>" : split_reference(digests.front()).first, "<none>", options));
  }
  return rows;
}

void print_table(const std::vector<ordered_json>& rows, const ImagesOptions& options) {
  std::vector<const char*> keys = {"Repository", "Tag", "ID", "CreatedSince", "Size"};
  std::vector<std::string> titles = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"};
  if (options.digests) {
    keys.insert(keys.begin() + 2, "Digest");
    titles.insert(titles.begin() + 2, "DIGEST");
  }
  Table table(std::move(titles));
  for (const ordered_json& row : rows) {
    std::vector<std::string> cells;
    cells.reserve(keys.size());
    for (const char* key : keys) {
      cells.push_back(row[key]);
    }
    table.add(std::move(cells));
  }
  fmt::print("{}", table.text(options.no_trunc ? 0 : output_width()));
}

}  // namespace

int run_images(Api& api, Words words) {
  ImagesOptions images;
  Options options("images", "[OPTIONS] [REPOSITORY[:TAG]]", "Lists images.");
  options.flag("-a,--all", images.all, "Show intermediate images too");
  options.flag("--digests", images.digests, "Show digests");
  options.list("-f,--filter", images.filters, "Show only what matches: reference=x, dangling=true, label=x, ...");
  options.value("--format", images.format, "json, or a template such as '{{.ID}} {{.Repository}}'");
  options.flag("--no-trunc", images.no_trunc, "Don't cut the output");
  options.flag("-q,--quiet", images.quiet, "Show ids only");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 1);
  if (!options.arguments().empty()) {
    images.filters.push_back("reference=" + options.arguments().front());
  }
  json answer = api.get("/images/json", query_of({{"all", when(images.all)}, {"filters", filters_json(images.filters)}}));
  std::vector<ordered_json> rows;
  for (const json& image : answer) {
    std::vector<ordered_json> some = rows_of(image, images);
    rows.insert(rows.end(), some.begin(), some.end());
  }
  if (!images.quiet && (images.format.empty() || images.format == "table")) {
    print_table(rows, images);
    return 0;
  }
  for (const ordered_json& row : rows) {
    fmt::print("{}\n", images.format.empty() ? row["ID"].get<std::string>() : format_row(images.format, row));
  }
  return 0;
}

}  // namespace bulkhead::cli
