#include "api/container_view.h"

#include <fmt/format.h>
#include <fts.h>
#include <sys/stat.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "api/phrases.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

constexpr const char* kNever = "0001-01-01T00:00:00Z";  // Go's zero time

json optional_time(const std::optional<TimePoint>& time) { return time ? json(rfc3339(*time)) : json(kNever); }

json list_or_null(const std::vector<std::string>& list) { return list.empty() ? json(nullptr) : json(list); }

json mounts(const engine::Container& container) {
  json list = json::array();
  for (const engine::MountView& mount : container.mounts) {
    list.push_back({{"Type", mount.type},
                    {"Source", mount.source},
                    {"Destination", mount.destination},
                    {"Mode", mount.mode},
                    {"RW", mount.read_write},
                    {"Propagation", mount.propagation}});
  }
  return list;
}

json state(const engine::Container& container) {
  using engine::Status;
  Status status = container.shown_status();
  bool restarting = status == Status::kRestarting;
  return {{"Status", engine::name(status)},
          {"Running", container.is_running() || restarting},
          {"Paused", container.status == Status::kPaused},
          {"Restarting", restarting},
          {"OOMKilled", container.out_of_memory},
          {"Dead", container.status == Status::kDead},
          {"Pid", container.pid},
          {"ExitCode", container.exit_code},
          {"Error", container.error},
          {"StartedAt", optional_time(container.started_at)},
          {"FinishedAt", optional_time(container.finished_at)}};
}

/// The container's one network by its name; with empty values while it isn't connected.
json networks(const engine::Container& container) {
  network::Endpoint endpoint = container.endpoint.value_or(network::Endpoint{});
  std::string name = endpoint.network_name.empty() ? container.host_config.network_mode : endpoint.network_name;
  return {{name,
           {{"IPAMConfig", nullptr},
            {"Links", nullptr},
            {"Aliases", nullptr},
            {"DriverOpts", nullptr},
            {"DNSNames", nullptr},
            {"GwPriority", 0},
            {"NetworkID", endpoint.network_id},
            {"EndpointID", endpoint.id},
            {"MacAddress", endpoint.mac_address},
            {"Gateway", endpoint.gateway},
            {"IPAddress", endpoint.address},
            {"IPPrefixLen", endpoint.prefix_length},
            {"IPv6Gateway", ""},
            {"GlobalIPv6Address", ""},
            {"GlobalIPv6PrefixLen", 0}}}};
}

json network_settings(const engine::Container& container) {
  network::Endpoint endpoint = container.endpoint.value_or(network::Endpoint{});
  return {{"Bridge", ""},
          {"SandboxID", endpoint.id},
          {"SandboxKey", endpoint.namespace_path},
          {"Ports", json::object()},
          {"HairpinMode", false},
          {"LinkLocalIPv6Address", ""},
          {"LinkLocalIPv6PrefixLen", 0},
          {"SecondaryIPAddresses", nullptr},
          {"SecondaryIPv6Addresses", nullptr},
          {"EndpointID", endpoint.id},
          {"Gateway", endpoint.gateway},
          {"GlobalIPv6Address", ""},
          {"GlobalIPv6PrefixLen", 0},
          {"IPAddress", endpoint.address},
          {"IPPrefixLen", endpoint.prefix_length},
          {"IPv6Gateway", ""},
          {"MacAddress", endpoint.mac_address},
          {"Networks", networks(container)}};
}

/// What Docker has no word for. Clients pass over what they don't know.
json wall(const engine::Container& container) {
  return {{"Isolation", container.host_config.isolation},
          {"OwnKernel", container.own_kernel},
          {"Accelerator", container.accelerator}};
}

json graph_driver(const engine::Container& container) {
  if (container.own_kernel) {
    return {{"Name", "disks"}, {"Data", {{"LowerDir", container.lower_folders}}}};
  }
  std::string top = std::filesystem::path(container.upper_folder).parent_path().native();
  return {{"Name", "overlay2"},
          {"Data",
           {{"LowerDir", container.lower_folders},
            {"UpperDir", container.upper_folder},
            {"WorkDir", container.work_folder},
            {"MergedDir", top + "/merged"}}}};
}

}  // namespace

json container_summary(const engine::Container& container, TimePoint now) {
  return {{"Id", container.id},
          {"Names", {"/" + container.name}},
          {"Image", container.config.image},
          {"ImageID", container.image_id},
          {"Command", command_line(container.path, container.args)},
          {"Created", std::chrono::duration_cast<std::chrono::seconds>(container.created.time_since_epoch()).count()},
          {"Ports", json::array()},
          {"Labels", container.config.labels},
          {"State", engine::name(container.shown_status())},
          {"Status", status_phrase(container, now)},
          {"HostConfig", {{"NetworkMode", container.host_config.network_mode}, {"Isolation", container.host_config.isolation}}},
          {"NetworkSettings", {{"Networks", networks(container)}}},
          {"Mounts", mounts(container)}};
}

json container_details(const engine::Container& container) {
  return {{"Id", container.id},
          {"Created", rfc3339(container.created)},
          {"Path", container.path},
          {"Args", container.args},
          {"State", state(container)},
          {"Image", container.image_id},
          {"ResolvConfPath", container.resolv_conf_path},
          {"HostnamePath", container.hostname_path},
          {"HostsPath", container.hosts_path},
          {"LogPath", container.log_path},
          {"Name", "/" + container.name},
          {"RestartCount", container.restart_count},
          {"Driver", "overlay2"},
          {"Platform", "linux"},
          {"MountLabel", ""},
          {"ProcessLabel", ""},
          {"AppArmorProfile", ""},
          {"ExecIDs", list_or_null(container.exec_ids)},
          {"HostConfig", engine::to_json(container.host_config)},
          {"GraphDriver", graph_driver(container)},
          {"Bulkhead", wall(container)},
          {"Mounts", mounts(container)},
          {"Config", engine::to_json(container.config)},
          {"NetworkSettings", network_settings(container)}};
}

namespace {

int64_t tree_size(const std::filesystem::path& folder) {
  std::string path = folder.native();
  std::array<char*, 2> roots = {path.data(), nullptr};
  // SECURITY: what is below was written by a container: no link is followed, no other file system entered.
  auto close = [](FTS* walk) { ::fts_close(walk); };
  std::unique_ptr<FTS, decltype(close)> walk(::fts_open(roots.data(), FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr), close);
  int64_t sum = 0;
  std::set<ino_t> linked;
  while (FTSENT* entry = walk ? ::fts_read(walk.get()) : nullptr) {
    bool is_file = entry->fts_info == FTS_F || entry->fts_info == FTS_SL;
    if (is_file && (entry->fts_statp->st_nlink == 1 || linked.insert(entry->fts_statp->st_ino).second)) {
      sum += entry->fts_statp->st_size;
    }
  }
  return sum;
}

}  // namespace

int64_t written_size(const engine::Container& container) {
  if (container.disk.empty()) {
    return tree_size(container.upper_folder);
  }
  struct stat status {};
  return ::stat(container.disk.c_str(), &status) == 0 ? int64_t{status.st_blocks} * 512 : 0;
}

void add_sizes(json& view, const engine::Container& container, const std::vector<image::Image>& images) {
  int64_t written = written_size(container);
  auto image =
      std::find_if(images.begin(), images.end(), [&](const image::Image& one) { return one.id == container.image_id; });
  view["SizeRw"] = written;
  view["SizeRootFs"] = written + (image == images.end() ? 0 : image->size);
}

}  // namespace bulkhead::api
