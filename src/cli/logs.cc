#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/frame_reader.h"
#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/quantities.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

std::string api_time(const std::string& text) { return text.empty() ? "" : timestamp(text, now()); }

void write_frame(http::StreamType type, std::string_view bytes) {
  write_all(type == http::StreamType::kErr ? STDERR_FILENO : STDOUT_FILENO, bytes);
}

void copy_log(http::Connection& connection, bool terminal) {
  FrameReader frames(write_frame);
  std::string buffer(65536, '\0');
  for (size_t count = connection.receive(buffer.data(), buffer.size()); count > 0;
       count = connection.receive(buffer.data(), buffer.size())) {
    std::string_view bytes = std::string_view(buffer).substr(0, count);
    if (terminal) {
      write_all(STDOUT_FILENO, bytes);
    } else {
      frames.feed(bytes);
    }
  }
  frames.finish();
}

}  // namespace

int run_logs(Api& api, Words words) {
  bool follow = false;
  bool timestamps = false;
  bool details = false;
  std::string since;
  std::string until;
  std::string tail = "all";
  Options options("logs", "[OPTIONS] CONTAINER", "Shows a container's output.");
  options.flag("--details", details, "Show extra details");
  options.flag("-f,--follow", follow, "Go on until the container ends");
  options.value("--since", since, "Show what came after: 10m, 2026-11-23T18:00:00, ...");
  options.value("-n,--tail", tail, "Lines to show from the end");
  options.flag("-t,--timestamps", timestamps, "Show times");
  options.value("--until", until, "Show what came before: 10m, 2026-11-23T18:00:00, ...");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  const std::string& name = options.arguments().front();
  nlohmann::json container = api.get(container_path(name, "json"));
  http::Connection connection = api.open("GET", container_path(name, "logs"),
                                         query_of({{"stdout", "1"},
                                                   {"stderr", "1"},
                                                   {"follow", when(follow)},
                                                   {"timestamps", when(timestamps)},
                                                   {"details", when(details)},
                                                   {"tail", tail},
                                                   {"since", api_time(since)},
                                                   {"until", api_time(until)}}));
  copy_log(connection, flag_at(field(container, "Config"), "Tty"));
  return 0;
}

}  // namespace bulkhead::cli
