#include "api/routes.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "api/handlers.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

// In order: the first that fits answers. Fixed paths stand before those with a placeholder.
constexpr std::array kRoutes = {
    Route{"GET", "/_ping", system_ping},
    Route{"HEAD", "/_ping", system_ping},
    Route{"GET", "/version", system_version},
    Route{"GET", "/info", system_info},
    Route{"GET", "/events", system_events},
    Route{"GET", "/system/df", system_disk_usage},
    Route{"POST", "/auth", auth_check},

    Route{"POST", "/containers/create", containers_create},
    Route{"GET", "/containers/json", containers_list},
    Route{"POST", "/containers/prune", containers_prune},
    Route{"GET", "/containers/{name}/json", containers_inspect},
    Route{"POST", "/containers/{name}/start", containers_start},
    Route{"POST", "/containers/{name}/stop", containers_stop},
    Route{"POST", "/containers/{name}/restart", containers_restart},
    Route{"POST", "/containers/{name}/kill", containers_kill},
    Route{"POST", "/containers/{name}/pause", containers_pause},
    Route{"POST", "/containers/{name}/unpause", containers_unpause},
    Route{"POST", "/containers/{name}/rename", containers_rename},
    Route{"POST", "/containers/{name}/resize", containers_resize},
    Route{"POST", "/containers/{name}/wait", containers_wait},
    Route{"POST", "/containers/{name}/attach", containers_attach},
    Route{"GET", "/containers/{name}/top", containers_top},
    Route{"GET", "/containers/{name}/logs", containers_logs},
    Route{"DELETE", "/containers/{name}", containers_remove},
    Route{"POST", "/containers/{name}/update", not_available},
    Route{"GET", "/containers/{name}/stats", containers_stats},
    Route{"GET", "/containers/{name}/changes", not_available},
    Route{"GET", "/containers/{name}/export", not_available},
    Route{"GET", "/containers/{name}/attach/ws", not_available},
    Route{"GET", "/containers/{name}/archive", containers_archive_get},
    Route{"HEAD", "/containers/{name}/archive", containers_archive_stat},
    Route{"PUT", "/containers/{name}/archive", containers_archive_put},
    Route{"POST", "/commit", not_available},

    Route{"POST", "/containers/{name}/exec", exec_create},
    Route{"POST", "/exec/{name}/start", exec_start},
    Route{"GET", "/exec/{name}/json", exec_inspect},
    Route{"POST", "/exec/{name}/resize", exec_resize},

    Route{"GET", "/images/json", images_list},
    Route{"GET", "/images/search", not_available},
    Route{"GET", "/images/get", not_available},
    Route{"POST", "/images/create", images_create},
    Route{"POST", "/images/load", images_load},
    Route{"POST", "/images/prune", images_prune},
    Route{"GET", "/images/{path}/json", images_inspect},
    Route{"GET", "/images/{path}/history", images_history},
    Route{"GET", "/images/{path}/get", not_available},
    Route{"POST", "/images/{path}/tag", images_tag},
    Route{"POST", "/images/{path}/push", not_available},
    Route{"DELETE", "/images/{path}", images_remove},
    Route{"GET", "/distribution/{path}/json", not_available},

    Route{"GET", "/networks", networks_list},
    Route{"GET", "/networks/", networks_list},
    Route{"POST", "/networks/create", not_available},
    Route{"POST", "/networks/prune", networks_prune},
    Route{"GET", "/networks/{name}", networks_inspect},
    Route{"POST", "/networks/{name}/connect", not_available},
    Route{"POST", "/networks/{name}/disconnect", not_available},
    Route{"DELETE", "/networks/{name}", not_available},

    // Beyond Docker's API: the kernels of guests.
    Route{"GET", "/kernels", kernels_list},
    Route{"POST", "/kernels", kernels_add},
    Route{"DELETE", "/kernels/{name}", kernels_remove},

    Route{"GET", "/volumes", volumes_list},
    Route{"POST", "/volumes/create", not_available},
    Route{"POST", "/volumes/prune", volumes_prune},
    Route{"GET", "/volumes/{path}", volumes_inspect},
    Route{"PUT", "/volumes/{path}", not_available},
    Route{"DELETE", "/volumes/{path}", volumes_inspect},

    Route{"GET", "/bulkhead/policy", policy_status},
    Route{"GET", "/bulkhead/policy/audit", policy_audit},
    Route{"GET", "/bulkhead/containers/{name}/policy", policy_of_container},
    Route{"GET", "/bulkhead/explain", explain_host},
    Route{"GET", "/bulkhead/containers/{name}/explain", explain_container},

    Route{"POST", "/build", not_available},
    Route{"POST", "/build/prune", build_prune},
    Route{"POST", "/session", not_available},
    Route{"GET", "/plugins", plugins_list},
    Route{"GET", "/swarm", no_swarm},
    Route{"GET", "/nodes", no_swarm},
    Route{"GET", "/services", no_swarm},
    Route{"GET", "/tasks", no_swarm},
    Route{"GET", "/secrets", no_swarm},
    Route{"GET", "/configs", no_swarm},
};

/// What stands for the placeholder; "" where the pattern has none; nullopt where the path doesn't fit.
std::optional<std::string_view> fit(std::string_view pattern, std::string_view path) {
  size_t open = pattern.find('{');
  if (open == std::string_view::npos) {
    return pattern == path ? std::optional<std::string_view>("") : std::nullopt;
  }
  size_t close = pattern.find('}');
  std::string_view suffix = pattern.substr(close + 1);
  if (path.size() <= open + suffix.size() || path.substr(0, open) != pattern.substr(0, open) || !path.ends_with(suffix)) {
    return std::nullopt;
  }
  std::string_view name = path.substr(open, path.size() - open - suffix.size());
  bool spans_segments = pattern.substr(open, close - open) == "{path";
  if (!spans_segments && name.find('/') != std::string_view::npos) {
    return std::nullopt;
  }
  return name;
}

}  // namespace

Match find_route(std::string_view method, std::string_view path) {
  for (const Route& route : kRoutes) {
    if (route.method != method) {
      continue;
    }
    if (auto name = fit(route.pattern, path)) {
      return {route.handler, std::string(*name)};
    }
  }
  return {};
}

VersionedPath split_version(std::string_view path) {
  if (!path.starts_with("/v")) {
    return {kNewestMinor, path};
  }
  size_t end = path.find('/', 1);
  std::string_view version = path.substr(2, end == std::string_view::npos ? end : end - 2);
  size_t dot = version.find('.');
  if (version.empty() || version.find_first_not_of("0123456789.") != std::string_view::npos || dot == std::string_view::npos ||
      end == std::string_view::npos) {
    return {kNewestMinor, path};  // "/version", "/volumes"
  }
  int major = 0;
  int minor = 0;
  auto parsed_major = std::from_chars(version.data(), version.data() + dot, major);
  auto parsed_minor = std::from_chars(version.data() + dot + 1, version.data() + version.size(), minor);
  bool readable = parsed_major.ec == std::errc() && parsed_minor.ec == std::errc();
  if (!readable || major > 1 || minor > kNewestMinor) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("client version {} is too new. Maximum supported API version is 1.{}", version, kNewestMinor));
  }
  if (major < 1 || minor < kOldestMinor) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("client version {} is too old. Minimum supported API version is 1.{}, please upgrade your client to "
                    "a newer version",
                    version, kOldestMinor));
  }
  return {minor, path.substr(end)};
}

}  // namespace bulkhead::api
