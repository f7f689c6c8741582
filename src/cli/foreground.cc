#include "cli/foreground.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/error_text.h"
#include "cli/json_fields.h"
#include "cli/queries.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

// How long the engine may take to remove a container that could not start.
constexpr std::chrono::seconds kRemovalLimit{10};

}  // namespace

int exit_code_of_wait(http::Connection& connection) {
  json answer = json::parse(connection.receive_all(), nullptr, false);
  if (!field(answer, "StatusCode").is_number_integer()) {
    throw Error(ErrorCode::kUnavailable,
                "the engine went away while the container ran; 'bulkhead ps' shows whether it still does");
  }
  if (std::string message = text_at(field(answer, "Error"), "Message"); !message.empty()) {
    throw Error(ErrorCode::kInternal, std::move(message));
  }
  if (std::string reason = text_at(field(answer, "Bulkhead"), "Error"); !reason.empty()) {
    fmt::print(stderr, "bulkhead: {}\n", reason);
  }
  return static_cast<int>(number_at(answer, "StatusCode"));
}

int run_in_foreground(Api& api, const Foreground& what) {
  // Attached and waited for before the start: nothing that it writes, and no quick end, is missed. From here on signals are
  // kept for the container.
  StreamTarget target{.resize_path = container_path(what.id, "resize"), .kill_path = container_path(what.id, "kill")};
  ContainerStream stream(api, std::move(target), what.terminal, what.proxy);
  http::Upgraded attached = api.upgrade(container_path(what.id, "attach"), query_of({{"stream", "1"},
                                                                                     {"stdin", when(what.in)},
                                                                                     {"stdout", when(what.out)},
                                                                                     {"stderr", when(what.err)},
                                                                                     {"detachKeys", what.detach_keys}}));
  http::Connection wait =
      api.open("POST", container_path(what.id, "wait"), query_of({{"condition", what.auto_remove ? "removed" : "next-exit"}}));
  try {
    api.command(container_path(what.id, "start"));
  } catch (const Error& error) {
    fmt::print(stderr, "bulkhead: {}\n", error_text(error, ""));
    if (what.auto_remove) {
      wait.wait_readable(kRemovalLimit);
    }
    return exit_code_of_start_error(error);
  }
  stream.resize();
  Wiring wiring{.format = what.terminal == Terminal::kYes ? StreamFormat::kRaw : StreamFormat::kFrames,
                .in = what.in ? STDIN_FILENO : -1,
                .out = what.out ? STDOUT_FILENO : -1,
                .err = what.err ? STDERR_FILENO : -1};
  if (stream.run(std::move(attached), wiring, what.detach_keys) == ContainerStream::End::kDetached) {
    return 0;
  }
  stream.wait_for(wait);
  return exit_code_of_wait(wait);
}

}  // namespace bulkhead::cli
