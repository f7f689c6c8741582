// GET /containers/json: docker ps.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "api/container_view.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "image/image_store.h"

namespace bulkhead::api {
namespace {
using engine::Container;

/// "80", "80-90", "80/tcp".
void check_ports(const Filters& filters, const std::string& name) {
  for (const std::string& value : filters.values(name)) {
    std::string_view ports = std::string_view(value).substr(0, value.find('/'));
    std::string_view protocol = std::string_view(value).substr(std::min(ports.size() + 1, value.size()));
    bool is_range = !ports.empty() && ports.size() <= 11 && ports.find_first_not_of("0123456789-") == std::string_view::npos &&
                    ports.find('-') == ports.rfind('-') && ports.front() != '-' && ports.back() != '-';
    if (!is_range || (ports.size() < value.size() && protocol != "tcp" && protocol != "udp" && protocol != "sctp")) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("invalid filter '{}={}': it takes a port or a range of them, with or without '/tcp', '/udp' or '/sctp'",
                      name, value));
    }
  }
}

void check(const Filters& filters) {
  filters.accept_only({"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name",
                       "network", "publish", "since", "status", "volume"});
  static constexpr std::array<std::string_view, 7> kStatuses = {"created", "running",  "paused", "restarting",
                                                                "exited",  "removing", "dead"};
  for (const std::string& status : filters.values("status")) {
    if (std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter 'status={}'", status));
    }
  }
  for (const std::string& code : filters.values("exited")) {
    if (code.empty() || code.find_first_not_of("0123456789") != std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter 'exited={}'", code));
    }
  }
  for (const std::string& health : filters.values("health")) {
    if (health != "none" && health != "starting" && health != "healthy" && health != "unhealthy") {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter 'health={}'", health));
    }
  }
  check_ports(filters, "publish");
  check_ports(filters, "expose");
}

/// What has to be looked up once for all containers.
struct Bounds {
  std::optional<TimePoint> before, since;
  bool has_ancestors = false;
  std::vector<image::Image> ancestors;
};

Bounds look_up(Request& request, const Filters& filters) {
  Bounds bounds;
  for (const std::string& reference : filters.values("before")) {
    bounds.before = request.engine.inspect(reference).created;
  }
  for (const std::string& reference : filters.values("since")) {
    bounds.since = request.engine.inspect(reference).created;
  }
  for (const std::string& reference : filters.values("ancestor")) {
    bounds.has_ancestors = true;
    try {
      bounds.ancestors.push_back(request.engine.images().find(reference));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) {
        throw;
      }
      // An image that isn't there is nobody's ancestor.
    }
  }
  return bounds;
}

bool descends_from(const Container& container, const image::Image& image) {
  return container.image_id == image.id ||
         (!image.chain_ids.empty() && container.chain_ids.size() > image.chain_ids.size() &&
          std::equal(image.chain_ids.begin(), image.chain_ids.end(), container.chain_ids.begin()));
}

bool is_mounted(const Container& container, const Filters& filters) {
  return !filters.has("volume") ||
         std::any_of(container.mounts.begin(), container.mounts.end(), [&](const engine::MountView& mount) {
           return filters.matches_exactly("volume", mount.source) || filters.matches_exactly("volume", mount.destination);
         });
}

bool exposes(const Container& container, const Filters& filters) {
  const auto& ports = container.config.exposed_ports;
  return !filters.has("expose") || std::any_of(ports.begin(), ports.end(), [&](const std::string& port) {
    return filters.matches_exactly("expose", port) || filters.matches_exactly("expose", port.substr(0, port.find('/')));
  });
}

bool is_on_network(const Container& container, const Filters& filters) {
  return filters.matches_exactly("network", container.host_config.network_mode) ||
         (container.endpoint && (filters.matches_exactly("network", container.endpoint->network_name) ||
                                 filters.matches_prefix("network", container.endpoint->network_id)));
}

bool matches(const Container& container, const Filters& filters, const Bounds& bounds) {
  bool in_bounds =
      (!bounds.before || container.created < *bounds.before) && (!bounds.since || container.created > *bounds.since);
  bool has_ancestor =
      !bounds.has_ancestors || std::any_of(bounds.ancestors.begin(), bounds.ancestors.end(),
                                           [&](const image::Image& image) { return descends_from(container, image); });
  bool named = filters.matches_pattern("name", container.name) || filters.matches_pattern("name", "/" + container.name);
  bool exited = !filters.has("exited") || (container.shown_status() == engine::Status::kExited &&
                                           filters.matches_exactly("exited", std::to_string(container.exit_code)));
  return in_bounds && has_ancestor && named && exited && filters.matches_pattern("id", container.id) &&
         filters.matches_labels("label", container.config.labels) &&
         filters.matches_exactly("status", engine::name(container.shown_status())) &&
         filters.matches_exactly("isolation", container.host_config.isolation) && filters.matches_exactly("health", "none") &&
         !filters.flag("is-task", false) && !filters.has("publish") && exposes(container, filters) &&
         is_mounted(container, filters) && is_on_network(container, filters);
}

}  // namespace

void containers_list(Request& request) {
  Filters filters = Filters::parse(request.query.get("filters"));
  check(filters);
  int64_t limit = integer(request, "limit").value_or(0);
  bool all = request.query.flag("all") || limit > 0 || filters.has("status");
  bool with_sizes = request.query.flag("size");
  Bounds bounds = look_up(request, filters);
  std::vector<image::Image> images = with_sizes ? request.engine.images().list() : std::vector<image::Image>{};
  std::vector<Container> containers = request.engine.list();
  std::stable_sort(containers.begin(), containers.end(), [](const auto& a, const auto& b) { return a.created > b.created; });

  nlohmann::json answer = nlohmann::json::array();
  TimePoint time = now();
  for (const Container& container : containers) {
    bool runs = container.is_running() || container.shown_status() == engine::Status::kRestarting;
    if ((!all && !runs) || !matches(container, filters, bounds)) {
      continue;
    }
    answer.push_back(container_summary(container, time));
    if (with_sizes) {
      add_sizes(answer.back(), container, images);
    }
    if (limit > 0 && answer.size() == static_cast<size_t>(limit)) {
      break;
    }
  }
  answer_json(request, 200, answer);
}

}  // namespace bulkhead::api
