#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/container_stream.h"
#include "cli/create_container.h"
#include "cli/json_fields.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

void check_pull_policy(const std::string& policy) {
  if (policy != "always" && policy != "missing" && policy != "never") {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid pull policy '{}': always, missing or never", policy));
  }
}

/// The file that --cidfile names: it must be new, and is removed again where nothing was created.
class IdFile {
 public:
  explicit IdFile(const std::string& path) : path_(path) {
    if (path_.empty()) {
      return;
    }
    try {
      file_ = open_file(path_, O_WRONLY | O_CREAT | O_EXCL, 0644);
    } catch (const Error& error) {
      throw error.wrap("container id file");
    }
  }
  ~IdFile() {
    if (file_ && !written_) {
      unlink(path_.c_str());
    }
  }
  IdFile(const IdFile&) = delete;
  IdFile& operator=(const IdFile&) = delete;
  void write(const std::string& id) {
    if (file_) {
      write_all(file_.get(), id);
      written_ = true;
    }
  }

 private:
  std::string path_;
  UniqueFd file_;
  bool written_ = false;
};

bool is_missing_image(const Error& error) {
  return error.code() == ErrorCode::kNotFound && error.message().find("No such image") != std::string::npos;
}

}  // namespace

std::string create_container(Api& api, const CreateOptions& options, const std::vector<std::string>& arguments,
                             Attached attached) {
  check_pull_policy(options.pull);
  const std::string& image = arguments.front();
  json body = create_body(options, arguments, attached);
  if (std::optional<WindowSize> size = console_size(); options.tty && size) {
    body["HostConfig"]["ConsoleSize"] = {size->rows, size->columns};
  }
  IdFile id_file(options.cidfile);
  auto style = options.quiet ? Progress::Style::kHidden : Progress::Style::kShown;
  if (options.pull == "always") {
    pull_image(api, image, options.platform, stderr, style);
  }
  http::Query query = query_of({{"name", options.name}, {"platform", options.platform}});
  json answer;
  try {
    answer = api.post("/containers/create", query, body);
  } catch (const Error& error) {
    if (options.pull != "missing" || !is_missing_image(error)) {
      throw;
    }
    fmt::print(stderr, "Unable to find image '{}' locally\n", printable(image));
    pull_image(api, image, options.platform, stderr, style);
    answer = api.post("/containers/create", query, body);
  }
  for (const std::string& warning : texts_at(answer, "Warnings")) {
    fmt::print(stderr, "WARNING: {}\n", printable(warning));
  }
  std::string id = required_text(answer, "Id");
  id_file.write(id);
  return id;
}

int run_create(Api& api, Words words) {
  CreateOptions create;
  Options options("create", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Creates a container without starting it.",
                  Order::kBeforeArguments);
  add_create_options(options, create);
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  fmt::print("{}\n", create_container(api, create, options.arguments(), Attached::kYes));
  return 0;
}

}  // namespace bulkhead::cli
