// The verbs that send an archive: load and import.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/progress.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

constexpr size_t kPieceSize = 262144;

std::string read_piece(int fd) {
  std::string piece(kPieceSize, '\0');
  ssize_t count = 0;
  do {
    count = read(fd, piece.data(), piece.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    throw system_error("read the archive");
  }
  piece.resize(static_cast<size_t>(count));
  return piece;
}

}  // namespace

int run_load(Api& api, Words words) {
  std::string input;
  std::string platform;
  bool quiet = false;
  Options options("load", "[OPTIONS]", "Reads images from a tar archive.");
  options.value("-i,--input", input, "Read from this file instead of standard input");
  options.value("--platform", platform, "Platform of the image: os/architecture");
  options.flag("-q,--quiet", quiet, "Don't show the progress");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  UniqueFd file;
  if (!input.empty()) {
    file = open_file(input, O_RDONLY);
  } else if (isatty(STDIN_FILENO) != 0) {
    throw Error(ErrorCode::kInvalidArgument, "requested load from a terminal: name a file with -i, or redirect standard input");
  }
  int fd = file ? file.get() : STDIN_FILENO;
  http::Connection connection =
      api.upload("/images/load", query_of({{"quiet", when(quiet)}, {"platform", platform}}), [fd] { return read_piece(fd); });
  Progress(stdout, Progress::Style::kShown).follow(connection);
  return 0;
}

int run_import(Api& api, Words words) {
  std::string message;
  std::string platform;
  std::vector<std::string> changes;
  Options options("import", "[OPTIONS] FILE|- [REPOSITORY[:TAG]]", "Makes an image of a root file system's tar archive.");
  options.list("-c,--change", changes, "Apply a Dockerfile instruction to the image");
  options.value("-m,--message", message, "Commit message of the image");
  options.value("--platform", platform, "Platform of the image: os/architecture");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 2);
  const std::string& source = options.arguments().front();
  auto [repository, tag] = split_reference(options.arguments().size() > 1 ? options.arguments()[1] : "");
  UniqueFd file = source == "-" ? UniqueFd() : open_file(source, O_RDONLY);
  int fd = file ? file.get() : STDIN_FILENO;
  http::Query query =
      query_of({{"fromSrc", "-"}, {"repo", repository}, {"tag", tag}, {"message", message}, {"platform", platform}});
  for (const std::string& change : changes) {
    query.add("changes", change);
  }
  http::Connection connection = api.upload("/images/create", query, [fd] { return read_piece(fd); });
  // The engine's last words are the new image's id.
  fmt::print("{}\n", Progress(stderr, Progress::Style::kHidden).follow(connection));
  return 0;
}

}  // namespace bulkhead::cli
