#include "engine/isolation_default.h"

#include <gtest/gtest.h>

namespace bulkhead::engine {
namespace {

const host::HostFinding kServer{.kind = host::HostKind::kServer, .because = "rack"};
const host::HostFinding kWorkstation{.kind = host::HostKind::kWorkstation, .because = "laptop"};

TEST(IsolationDefaultTest, FollowsTheKindOfHost) {
  EXPECT_EQ(choose_default("", "", kServer).mode, "process");
  EXPECT_EQ(choose_default("", "", kWorkstation).mode, "hyperv");
  EXPECT_EQ(choose_default("", "", kWorkstation).because, "this host is a workstation");
}

TEST(IsolationDefaultTest, WhatIsConfiguredCountsBefore) {
  EXPECT_EQ(choose_default("hyperv", "--exec-opt", kServer).mode, "hyperv");
  EXPECT_EQ(choose_default("process", "--exec-opt", kWorkstation).mode, "process");
  EXPECT_EQ(choose_default("process", "--exec-opt", kWorkstation).because, "set by --exec-opt");
}

TEST(IsolationDefaultTest, WarnsOfProcessIsolationOnAWorkstationOnly) {
  for (const char* configured : {"", "process"}) {
    EXPECT_TRUE(isolation_warning(choose_default(configured, "x", kWorkstation), "process"));
    EXPECT_FALSE(isolation_warning(choose_default(configured, "x", kWorkstation), "hyperv"));
    EXPECT_FALSE(isolation_warning(choose_default(configured, "x", kServer), "process"));
  }
}

TEST(IsolationDefaultTest, TheWaysOutAreNamed) {
  std::string text = default_remedies(choose_default("", "", kWorkstation));
  for (const char* part : {"hyperv", "workstation", "bulkhead doctor", "--isolation=process", "daemon.json"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace bulkhead::engine
