#include "api/stats_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace bulkhead::api {
namespace {

engine::ContainerStatistics sample() {
  engine::ContainerStatistics sample{.id = "1", .name = "one", .link = {}};
  sample.read = TimePoint(std::chrono::seconds(1'700'000'000));
  sample.memory_usage = 1000;
  sample.memory_limit = 5000;
  sample.memory_inactive_file = 300;
  sample.cpu_usage = 7;
  sample.host_cpu_usage = 70;
  sample.online_cpus = 2;
  sample.pids_current = 3;
  sample.has_link = true;
  sample.link = {.name = "eth0", .received_bytes = 11, .sent_bytes = 22};
  return sample;
}

TEST(StatsView, HasWhatClientsCountWith) {
  engine::ContainerStatistics before = sample();
  engine::ContainerStatistics now = sample();
  now.cpu_usage = 17;
  nlohmann::json view = stats_view("1", "one", &now, &before);
  EXPECT_EQ(view["name"], "/one");
  EXPECT_EQ(view["cpu_stats"]["cpu_usage"]["total_usage"], 17);
  EXPECT_EQ(view["precpu_stats"]["cpu_usage"]["total_usage"], 7);
  EXPECT_EQ(view["cpu_stats"]["system_cpu_usage"], 70);
  EXPECT_EQ(view["cpu_stats"]["online_cpus"], 2);
  EXPECT_EQ(view["memory_stats"]["usage"], 1000);
  EXPECT_EQ(view["memory_stats"]["stats"]["inactive_file"], 300);
  EXPECT_EQ(view["pids_stats"], nlohmann::json({{"current", 3}}));
  EXPECT_EQ(view["networks"]["eth0"]["rx_bytes"], 11);
  EXPECT_EQ(view["networks"]["eth0"]["tx_bytes"], 22);
}

TEST(StatsView, OfAContainerThatDoesNotRunSaysNothing) {
  nlohmann::json view = stats_view("1", "one", nullptr, nullptr);
  EXPECT_EQ(view["id"], "1");
  EXPECT_EQ(view["read"], "0001-01-01T00:00:00Z");
  EXPECT_EQ(view["memory_stats"], nlohmann::json::object());
  EXPECT_EQ(view["cpu_stats"]["cpu_usage"]["total_usage"], 0);
  EXPECT_FALSE(view["cpu_stats"].contains("system_cpu_usage"));
  EXPECT_FALSE(view.contains("networks"));
}

TEST(StatsView, TheFirstOfAStreamHasNothingBefore) {
  engine::ContainerStatistics now = sample();
  nlohmann::json view = stats_view("1", "one", &now, nullptr);
  EXPECT_EQ(view["preread"], "0001-01-01T00:00:00Z");
  EXPECT_EQ(view["precpu_stats"]["cpu_usage"]["total_usage"], 0);
  EXPECT_EQ(view["memory_stats"]["limit"], 5000);
}

}  // namespace
}  // namespace bulkhead::api
