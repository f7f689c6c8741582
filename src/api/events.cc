// GET /events.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/filters.h"
#include "api/handlers.h"
#include "api/timestamps.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using engine::Event;
using nlohmann::json;

constexpr std::chrono::milliseconds kTick{500};

std::string attribute(const Event& event, const std::string& name) {
  auto found = event.attributes.find(name);
  return found == event.attributes.end() ? "" : found->second;
}

json to_json(const Event& event) {
  int64_t nanoseconds = event.time.time_since_epoch().count();
  json view = {{"Type", event.type},
               {"Action", event.action},
               {"Actor", {{"ID", event.actor_id}, {"Attributes", event.attributes}}},
               {"scope", "local"},
               {"time", nanoseconds / 1'000'000'000},
               {"timeNano", nanoseconds}};
  // What clients of before 1.22 read.
  if (event.type == "container" || event.type == "image") {
    view["status"] = event.action;
    view["id"] = event.actor_id;
  }
  if (event.type == "container") {
    view["from"] = attribute(event, "image");
  }
  return view;
}

/// The filter named like an object's type: its id (or the beginning of it) or its name.
bool is_about(const Event& event, const Filters& filters, const std::string& type) {
  return !filters.has(type) || (event.type == type && (filters.matches_prefix(type, event.actor_id) ||
                                                       filters.matches_exactly(type, attribute(event, "name"))));
}

bool is_about_image(const Event& event, const Filters& filters) {
  if (!filters.has("image")) {
    return true;
  }
  std::string name = event.type == "image" ? attribute(event, "name") : attribute(event, "image");
  std::string repository = name.substr(0, name.find(':', name.rfind('/') == std::string::npos ? 0 : name.rfind('/')));
  return (event.type == "image" && filters.matches_exactly("image", event.actor_id)) ||
         filters.matches_exactly("image", name) || filters.matches_exactly("image", repository);
}

bool matches(const Event& event, const Filters& filters) {
  std::string action = event.action.substr(0, event.action.find(':'));
  return filters.matches_exactly("type", event.type) &&
         (filters.matches_exactly("event", action) || filters.matches_exactly("event", event.action)) &&
         filters.matches_exactly("scope", "local") && filters.matches_labels("label", event.attributes) &&
         is_about(event, filters, "container") && is_about(event, filters, "network") && is_about(event, filters, "volume") &&
         is_about(event, filters, "plugin") && is_about(event, filters, "daemon") && is_about_image(event, filters);
}

}  // namespace

void system_events(Request& request) {
  Filters filters = Filters::parse(request.query.get("filters"));
  filters.accept_only({"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope",
                       "secret", "service", "type", "volume"});
  std::optional<TimePoint> since = parse_instant(request.query.get("since"), "since", now());
  std::optional<TimePoint> until = parse_instant(request.query.get("until"), "until", now());
  if (since && until && *since > *until) {
    throw Error(ErrorCode::kInvalidArgument, "`since` time cannot be after `until` time");
  }
  engine::EventBus& bus = request.engine.events();
  uint64_t sequence = since || until ? bus.oldest() : bus.next();
  request.exchange.begin_stream(200, "application/json");
  request.exchange.flush();
  while (!request.exchange.is_cancelled()) {
    bool was_last = until && now() >= *until;
    std::optional<Event> event = bus.wait(sequence, was_last ? std::chrono::milliseconds(0) : kTick);
    if ((!event && was_last) || (event && until && event->time > *until)) {
      return;
    }
    if (event && (!since || event->time >= *since) && matches(*event, filters)) {
      request.exchange.write(json_line(to_json(*event)));
    }
  }
}

}  // namespace bulkhead::api
