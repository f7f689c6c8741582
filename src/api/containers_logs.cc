// GET /containers/{name}/logs.
#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "api/log_stream.h"
#include "api/raw_stream.h"
#include "api/timestamps.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

constexpr int kTick = 250;  // milliseconds between two looks at whether the container still runs

engine::LogSelection selection_of(const Request& request) {
  engine::LogSelection selection{.out = request.query.flag("stdout"), .err = request.query.flag("stderr")};
  if (!selection.out && !selection.err) {
    throw Error(ErrorCode::kInvalidArgument, "Bad parameters: you must choose at least one stream");
  }
  std::string tail = request.query.get("tail");
  // As in Docker: whatever is no number means everything.
  if (!tail.empty() && tail.size() < 18 && tail.find_first_not_of("0123456789") == std::string::npos) {
    selection.tail = std::stoull(tail);
  }
  selection.since = parse_instant(request.query.get("since"), "since", now());
  selection.until = parse_instant(request.query.get("until"), "until", now());
  return selection;
}

bool is_alive(Request& request, const std::string& id) {
  try {
    engine::Status status = request.engine.inspect(id).status;
    return status == engine::Status::kRunning || status == engine::Status::kPaused || status == engine::Status::kRestarting ||
           status == engine::Status::kStarting;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      return false;
    }
    throw;
  }
}

/// False where the client left or the server stops.
bool wait_for_more(Request& request, engine::LogReader& reader) {
  std::array<pollfd, 3> polled = {{{reader.descriptor(), POLLIN, 0},
                                   {request.exchange.descriptor(), POLLRDHUP, 0},
                                   {request.exchange.stop_descriptor(), POLLIN, 0}}};
  if (::poll(polled.data(), polled.size(), kTick) < 0 && errno != EINTR) {
    throw system_error("wait for a container's log");
  }
  if (polled[0].revents != 0) {
    reader.acknowledge();
  }
  return polled[1].revents == 0 && polled[2].revents == 0;
}

}  // namespace

void containers_logs(Request& request) {
  engine::LogSelection selection = selection_of(request);
  engine::Container container = request.engine.inspect(request.name);
  require_readable_log(container);
  LogFormat format{
      .tty = container.config.tty, .timestamps = request.query.flag("timestamps"), .details = request.query.flag("details")};
  bool follow = request.query.flag("follow") && is_alive(request, container.id);
  engine::LogReader reader(container.log_path, selection,
                           follow ? engine::LogReader::Follow::kYes : engine::LogReader::Follow::kNo);
  request.exchange.begin_stream(200, stream_content_type(request, format.tty));
  auto sink = [&](std::string_view bytes) { request.exchange.write(bytes); };
  drain(reader, format, sink);
  if (!follow) {
    return;
  }
  request.exchange.flush();
  while (!reader.is_past_end()) {
    if (selection.until && now() > *selection.until) {
      return;
    }
    if (drain(reader, format, sink)) {
      continue;
    }
    if (!is_alive(request, container.id)) {
      drain(reader, format, sink);  // what it said between the last look and its end
      return;
    }
    if (!wait_for_more(request, reader)) {
      return;
    }
  }
}

}  // namespace bulkhead::api
