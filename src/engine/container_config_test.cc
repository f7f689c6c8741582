#include "engine/container_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/resource_bounds.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

using nlohmann::json;

std::string refusal_of_host(const json& value, ErrorCode code) {
  try {
    check_resources(parse_host_config(value));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "accepted " << value.dump();
  return "";
}

TEST(HostConfig, IsolationIsReadInAnyCase) {
  EXPECT_EQ(parse_host_config({{"Isolation", "Process"}}).isolation, "process");
  EXPECT_EQ(parse_host_config({{"Isolation", "HYPERV"}}).isolation, "hyperv");
  EXPECT_EQ(parse_host_config({{"Isolation", ""}}).isolation, "default");
  EXPECT_EQ(parse_host_config(json::object()).isolation, "default");
}

TEST(HostConfig, AnUnknownIsolationIsRefusedWithTheThree) {
  std::string message = refusal_of_host({{"Isolation", "kata"}}, ErrorCode::kInvalidArgument);
  for (const char* word : {"kata", "default", "process", "hyperv"}) {
    EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

TEST(HostConfig, AnOptionThatIsNotThereIsRefusedByName) {
  EXPECT_NE(refusal_of_host({{"PortBindings", {{"80/tcp", {{{"HostPort", "8080"}}}}}}}, ErrorCode::kNotSupported)
                .find("HostConfig.PortBindings"),
            std::string::npos);
  refusal_of_host({{"VolumesFrom", {"other"}}}, ErrorCode::kNotSupported);
  refusal_of_host({{"PublishAllPorts", true}}, ErrorCode::kNotSupported);
  refusal_of_host({{"PidMode", "container:abc"}}, ErrorCode::kNotSupported);
  refusal_of_host({{"SomethingNew", 3}}, ErrorCode::kNotSupported);
}

TEST(HostConfig, TheEmptyValuesThatClientsSendAreAccepted) {
  HostConfig config = parse_host_config({{"PortBindings", json::object()},
                                         {"VolumesFrom", nullptr},
                                         {"Links", json::array()},
                                         {"PublishAllPorts", false},
                                         {"KernelMemory", 0},
                                         {"MemorySwappiness", -1},
                                         {"ShmSize", 0},
                                         {"ConsoleSize", {24, 80}},
                                         {"SomethingNew", ""}});
  EXPECT_EQ(config.shm_size, 64LL << 20);
  EXPECT_FALSE(config.memory_swappiness.has_value());
}

TEST(HostConfig, WrongTypesNameTheProperty) {
  EXPECT_NE(refusal_of_host({{"Memory", "1g"}}, ErrorCode::kInvalidArgument).find("HostConfig.Memory"), std::string::npos);
  refusal_of_host({{"Binds", {1, 2}}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"Sysctls", {{"a", 1}}}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"Memory", 18446744073709551615ULL}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"BlkioWeight", 70000}}, ErrorCode::kInvalidArgument);
  refusal_of_host(json::array(), ErrorCode::kInvalidArgument);
}

TEST(HostConfig, LimitsOutOfBoundsAreRefused) {
  refusal_of_host({{"Memory", 1024}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"Memory", 64 << 20}, {"MemorySwap", 32 << 20}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"CpuPeriod", 10}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"CpuShares", -1}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"CpuShares", 1}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"CpuShares", 262145}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"BlkioWeight", 5}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"BlkioWeight", 1001}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"NanoCpus", 1000000000}, {"CpuQuota", 5000}}, ErrorCode::kInvalidArgument);
  refusal_of_host({{"AutoRemove", true}, {"RestartPolicy", {{"Name", "always"}}}}, ErrorCode::kInvalidArgument);
}

TEST(HostConfig, WhatIsShownIsReadBackTheSame) {
  json given = {{"Binds", {"/a:/b:ro"}},
                {"Memory", 64 << 20},
                {"PidsLimit", 10},
                {"CapAdd", {"NET_ADMIN"}},
                {"Isolation", "process"},
                {"Tmpfs", {{"/x", "size=1m"}}},
                {"Ulimits", {{{"Name", "nofile"}, {"Soft", 10}, {"Hard", 20}}}},
                {"Mounts", {{{"Type", "bind"}, {"Source", "/s"}, {"Target", "/t"}, {"ReadOnly", true}}}},
                {"RestartPolicy", {{"Name", "on-failure"}, {"MaximumRetryCount", 3}}}};
  json shown = to_json(parse_host_config(given));
  EXPECT_EQ(to_json(parse_host_config(shown)), shown);
  EXPECT_EQ(shown["Memory"], 64 << 20);
  EXPECT_EQ(shown["Mounts"][0]["ReadOnly"], true);
}

TEST(ContainerConfig, AnEmptyEntrypointIsToldFromNone) {
  EXPECT_FALSE(parse_container_config({{"Image", "x"}}).entrypoint.has_value());
  EXPECT_FALSE(parse_container_config({{"Entrypoint", nullptr}}).entrypoint.has_value());
  auto cleared = parse_container_config({{"Entrypoint", {""}}});
  ASSERT_TRUE(cleared.entrypoint.has_value());
  EXPECT_EQ(cleared.entrypoint->size(), 1U);
}

TEST(ContainerConfig, AHealthcheckIsRefusedAndNoneIsAccepted) {
  EXPECT_THROW(parse_container_config({{"Healthcheck", {{"Test", {"CMD", "true"}}}}}), Error);
  EXPECT_THROW(parse_container_config({{"Healthcheck", {{"Interval", 1000000000}}}}), Error);
  EXPECT_FALSE(parse_container_config({{"Healthcheck", {{"Interval", 0}}}}).no_healthcheck);
  ContainerConfig none = parse_container_config({{"Healthcheck", {{"Test", json::array({"NONE"})}}}});
  EXPECT_TRUE(none.no_healthcheck);
  EXPECT_TRUE(parse_container_config(to_json(none)).no_healthcheck);
}

}  // namespace
}  // namespace bulkhead::engine
