#include "api/stats_view.h"

#include <nlohmann/json.hpp>

namespace bulkhead::api {
namespace {

using engine::ContainerStatistics;
using nlohmann::json;

json cpu_view(const ContainerStatistics* counted) {
  const ContainerStatistics nothing{.id = {}, .name = {}, .link = {}};
  const ContainerStatistics& it = counted == nullptr ? nothing : *counted;
  json view = {{"cpu_usage",
                {{"total_usage", it.cpu_usage}, {"usage_in_kernelmode", it.cpu_system}, {"usage_in_usermode", it.cpu_user}}},
               {"throttling_data",
                {{"periods", it.periods}, {"throttled_periods", it.throttled_periods}, {"throttled_time", it.throttled_time}}}};
  if (counted != nullptr) {
    view["system_cpu_usage"] = it.host_cpu_usage;
    view["online_cpus"] = it.online_cpus;
  }
  return view;
}

json memory_view(const ContainerStatistics* counted) {
  if (counted == nullptr) {
    return json::object();
  }
  // Clients take the file cache that could be dropped away from the usage, by this name.
  return {{"usage", counted->memory_usage},
          {"max_usage", counted->memory_max_usage},
          {"stats", {{"inactive_file", counted->memory_inactive_file}}},
          {"limit", counted->memory_limit}};
}

json pids_view(const ContainerStatistics* counted) {
  json view = json::object();
  if (counted != nullptr) {
    view["current"] = counted->pids_current;
    if (counted->pids_limit != 0) {
      view["limit"] = counted->pids_limit;
    }
  }
  return view;
}

json link_view(const engine::LinkCounters& link) {
  return {{"rx_bytes", link.received_bytes},     {"rx_packets", link.received_packets}, {"rx_errors", link.received_errors},
          {"rx_dropped", link.received_dropped}, {"tx_bytes", link.sent_bytes},         {"tx_packets", link.sent_packets},
          {"tx_errors", link.sent_errors},       {"tx_dropped", link.sent_dropped}};
}

/// Go's zero time where there is none.
std::string time_of(const ContainerStatistics* counted) {
  return counted == nullptr ? "0001-01-01T00:00:00Z" : rfc3339(counted->read);
}

}  // namespace

json stats_view(const std::string& id, const std::string& name, const ContainerStatistics* now,
                const ContainerStatistics* before) {
  json blocks;
  for (const char* kind :
       {"io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
        "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive"}) {
    blocks[kind] = json::array();
  }
  json view = {{"id", id},
               {"name", "/" + name},
               {"read", time_of(now)},
               {"preread", time_of(before)},
               {"num_procs", 0},
               {"pids_stats", pids_view(now)},
               {"cpu_stats", cpu_view(now)},
               {"precpu_stats", cpu_view(before)},
               {"memory_stats", memory_view(now)},
               {"blkio_stats", blocks},
               {"storage_stats", json::object()}};
  if (now != nullptr && now->has_link) {
    view["networks"] = {{now->link.name, link_view(now->link)}};
  }
  return view;
}

}  // namespace bulkhead::api
