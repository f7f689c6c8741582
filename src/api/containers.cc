// A container's life: start, stop, restart, kill, pause, rename, resize, wait, top, remove, prune.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "api/container_name.h"
#include "api/container_view.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/timestamps.h"
#include "engine/json_object.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

std::optional<int> stop_timeout(const Request& request) {
  std::optional<int64_t> seconds = integer(request, "t");
  if (seconds && (*seconds > std::numeric_limits<int>::max() / 1000 || *seconds < -1)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a stop timeout of {} seconds is out of range", *seconds));
  }
  return seconds ? std::optional<int>(static_cast<int>(*seconds)) : std::nullopt;
}

engine::WaitCondition wait_condition(const std::string& text) {
  if (text.empty() || text == "not-running") {
    return engine::WaitCondition::kNotRunning;
  }
  if (text == "next-exit") {
    return engine::WaitCondition::kNextExit;
  }
  if (text == "removed") {
    return engine::WaitCondition::kRemoved;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid condition: \"{}\"", text));
}

bool may_be_pruned(const engine::Container& container, const Filters& filters, const std::optional<TimePoint>& until) {
  using engine::Status;
  bool ended = container.status == Status::kCreated || container.status == Status::kExited || container.status == Status::kDead;
  bool spared = filters.has("label!") && filters.matches_labels("label!", container.config.labels);
  return ended && !spared && (!until || container.created < *until) && filters.matches_labels("label", container.config.labels);
}

}  // namespace

void containers_start(Request& request) {
  // Clients of API 1.22 and before could give a HostConfig here; they send an empty one where they don't.
  json body = read_json(request);
  if (std::any_of(body.begin(), body.end(), [](const json& value) { return !engine::is_empty_value(value); })) {
    throw Error(ErrorCode::kInvalidArgument,
                "starting a container takes no options: its HostConfig is given when it is created (API 1.24 and later)");
  }
  request.engine.start(request.name);
  answer_empty(request, 204);
}

void containers_stop(Request& request) {
  request.engine.stop(request.name, stop_timeout(request), request.query.get("signal"));
  answer_empty(request, 204);
}

void containers_restart(Request& request) {
  request.engine.restart(request.name, stop_timeout(request), request.query.get("signal"));
  answer_empty(request, 204);
}

void containers_kill(Request& request) {
  request.engine.kill(request.name, request.query.get("signal"));
  answer_empty(request, 204);
}

void containers_pause(Request& request) {
  request.engine.pause(request.name);
  answer_empty(request, 204);
}

void containers_unpause(Request& request) {
  request.engine.unpause(request.name);
  answer_empty(request, 204);
}

void containers_rename(Request& request) {
  std::string name = request.query.get("name");
  if (name.empty() || name == "/") {
    throw Error(ErrorCode::kInvalidArgument, "Neither old nor new names may be empty");
  }
  request.engine.rename(request.name, checked_name(std::move(name)));
  answer_empty(request, 204);
}

void containers_resize(Request& request) {
  TerminalSize size = terminal_size(request);
  request.engine.resize(request.name, size.rows, size.columns);
  answer_empty(request, 200);
}

void containers_wait(Request& request) {
  engine::WaitCondition condition = wait_condition(request.query.get("condition"));
  // The client starts the container only once it has these headers.
  auto registered = [&] {
    request.exchange.begin_stream(200, "application/json");
    request.exchange.flush();
  };
  auto result = request.engine.wait(request.name, condition, registered, [&] { return request.exchange.is_cancelled(); });
  if (!result) {
    throw Error(ErrorCode::kUnavailable, "nobody waits any more");
  }
  json answer = {{"StatusCode", result->exit_code}};
  // Docker's "Error" is about a wait that failed, which its client turns into the exit code 125. This one has an answer.
  if (!result->error.empty()) {
    answer["Bulkhead"] = {{"Error", result->error}};
  }
  request.exchange.write(json_line(answer));
}

void containers_top(Request& request) {
  engine::TopResult top = request.engine.top(request.name, request.query.get("ps_args"));
  answer_json(request, 200, {{"Titles", top.titles}, {"Processes", top.processes}});
}

void containers_remove(Request& request) {
  if (request.query.flag("link")) {
    throw Error(ErrorCode::kNotSupported, "links between containers are not available: there is none to remove");
  }
  using Force = engine::Engine::Force;
  request.engine.remove(request.name, request.query.flag("force") ? Force::kYes : Force::kNo);
  answer_empty(request, 204);
}

void containers_prune(Request& request) {
  Filters filters = Filters::parse(request.query.get("filters"));
  filters.accept_only({"label", "label!", "until"});
  std::optional<TimePoint> until;
  for (const std::string& text : filters.values("until")) {
    until = parse_instant(text, "until", now());
  }
  json deleted = json::array();
  int64_t reclaimed = 0;
  for (const engine::Container& container : request.engine.list()) {
    if (!may_be_pruned(container, filters, until)) {
      continue;
    }
    int64_t size = written_size(container);
    try {
      request.engine.remove(container.id, engine::Engine::Force::kNo);
      deleted.push_back(container.id);
      reclaimed += size;
    } catch (const Error& error) {
      // Started or removed by somebody else meanwhile: then it isn't ours to remove.
      if (error.code() != ErrorCode::kConflict && error.code() != ErrorCode::kNotFound) {
        throw;
      }
    }
  }
  answer_json(request, 200, {{"ContainersDeleted", deleted}, {"SpaceReclaimed", reclaimed}});
}

}  // namespace bulkhead::api
