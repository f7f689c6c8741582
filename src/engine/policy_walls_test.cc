#include "engine/policy_walls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/capabilities.h"

namespace bulkhead::engine {
namespace {

using policy::Walls;
using testing::ElementsAre;
using testing::IsEmpty;

const std::map<std::string, std::string> kProfiles = {{"/p.json", R"({"defaultAction": "SCMP_ACT_ALLOW"})"}};

Walls every_wall(const std::string& seccomp) {
  return {.read_only_root = true, .no_new_privileges = true, .drop_capabilities = {"MKNOD", "NET_RAW"}, .seccomp = {seccomp}};
}

TEST(PolicyWalls, WhatIsPutUpIsThere) {
  for (const char* seccomp : {"default", "/p.json"}) {
    HostConfig host_config;
    EXPECT_THAT(missing_walls(every_wall(seccomp), kProfiles, host_config), testing::Not(IsEmpty()));
    put_up_walls(every_wall(seccomp), kProfiles, host_config);
    EXPECT_THAT(missing_walls(every_wall(seccomp), kProfiles, host_config), IsEmpty());
    EXPECT_TRUE(host_config.readonly_rootfs);
  }
}

TEST(PolicyWalls, PuttingThemUpTwiceChangesNothing) {
  HostConfig host_config;
  host_config.cap_drop = {"cap_mknod"};
  host_config.security_opt = {"no-new-privileges:true"};
  put_up_walls(every_wall("default"), kProfiles, host_config);
  EXPECT_THAT(host_config.cap_drop, ElementsAre("cap_mknod", "NET_RAW"));
  EXPECT_THAT(host_config.security_opt, ElementsAre("no-new-privileges:true"));
}

TEST(PolicyWalls, DroppingAllLeavesNothing) {
  HostConfig host_config;
  put_up_walls({.drop_capabilities = {"ALL"}}, {}, host_config);
  EXPECT_THAT(granted_capabilities(host_config), IsEmpty());
}

TEST(PolicyWalls, WhatIsMissingIsNamed) {
  HostConfig host_config;
  host_config.security_opt = {"seccomp=unconfined"};
  host_config.cap_add = {"NET_RAW"};
  EXPECT_THAT(missing_walls(every_wall("default"), kProfiles, host_config),
              ElementsAre("a read-only root", "no new privileges", "capability MKNOD dropped", "capability NET_RAW dropped",
                          "the seccomp profile default"));
  host_config = {};
  host_config.privileged = true;
  EXPECT_THAT(missing_walls({.seccomp = {"default"}}, {}, host_config), ElementsAre("the seccomp profile default"));
}

}  // namespace
}  // namespace bulkhead::engine
