#include "policy/host_paths.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "policy/policy.h"
#include "support/files.h"

namespace bulkhead::policy {
namespace {

using nlohmann::json;

class HostPathsTest : public testing::Test {
 protected:
  HostPathsTest() {
    folder_ = std::filesystem::canonical(std::filesystem::temp_directory_path()) / fmt::format("host-paths-{}", ::getpid());
    make_folders(folder_ / "run" / "engine");
    make_folders(folder_ / "var");
    std::filesystem::create_symlink("../run", folder_ / "var" / "run");
  }
  ~HostPathsTest() override { remove_folder(folder_); }
  HostPathsTest(const HostPathsTest&) = delete;
  HostPathsTest& operator=(const HostPathsTest&) = delete;

  std::string in(std::string_view path) const { return folder_.native() + std::string(path); }
  static std::string real(const std::string& path) { return HostPaths().real(path); }
  static bool denied(const std::string& match, const json& host) {
    Policy policy = Policy::parse(
        "version: 1\nrules:\n- {match: {" + match + "}, deny: all, because: x}\n- {match: any, allow: all}\n", "p");
    Request request = read_request({{"Image", "x"}, {"HostConfig", host}});
    HostPaths paths;
    look_at_paths(request, paths);
    return policy.decide(request, Mode::kProcess).verdict == Verdict::kDenied;
  }
  bool mount_denied(const std::string& rule, const std::string& asked) const {
    return denied("host-mounts: " + rule, {{"Binds", {asked + ":/x"}}});
  }

  std::filesystem::path folder_;
};

TEST_F(HostPathsTest, LinksAreFollowedToWhatIsThereAndToWhatIsNot) {
  EXPECT_EQ(real("/"), "/");
  EXPECT_EQ(real(in("/var/run/engine")), in("/run/engine"));
  EXPECT_EQ(real(in("/var/run/engine/no/such")), in("/run/engine/no/such"));
  std::filesystem::create_symlink(in("/run/not-yet"), in("/dangling"));
  EXPECT_EQ(real(in("/dangling/x")), in("/run/not-yet/x"));
  std::filesystem::create_symlink("circle", in("/circle"));
  EXPECT_EQ(real(in("/circle")), in("/circle"));
  EXPECT_EQ(real(in("/var/run/../x")), in("/x")) << "as the kernel walks";
}

TEST_F(HostPathsTest, WhatAProcessHasOpenIsAnywhere) {
  EXPECT_EQ(real("/proc/self/root/run"), "/");
  EXPECT_EQ(real("/proc/1/cwd"), "/");
  EXPECT_EQ(real("/proc/self"), fmt::format("/proc/{}", ::getpid()));
  EXPECT_EQ(real("/proc/sys/kernel"), "/proc/sys/kernel");
}

TEST_F(HostPathsTest, ARuleAboutALinkIsAboutWhereItLeads) {
  std::string rule = "[" + in("/var/run/engine") + "]";
  for (const char* asked : {"/var/run/engine", "/run/engine", "/run", "/run/engine/socket", "/run/../run/engine", ""}) {
    EXPECT_TRUE(mount_denied(rule, in(asked))) << asked;
  }
  EXPECT_TRUE(mount_denied(rule, "/proc/self/root" + in("/run/engine")));
  EXPECT_FALSE(mount_denied(rule, in("/run/other")));
  EXPECT_TRUE(mount_denied("[" + in("/run/engine") + "]", in("/var/run/engine")));
}

TEST_F(HostPathsTest, ALinkMadeAfterThePolicyWasReadIsFollowed) {
  Policy policy = Policy::parse(fmt::format("version: 1\nrules:\n- {{match: {{host-mounts: [{}]}}, deny: all, because: x}}\n"
                                            "- {{match: any, allow: all}}\n",
                                            in("/later")),
                                "p");
  Request request = read_request({{"Image", "x"}, {"HostConfig", {{"Binds", {in("/run/engine") + ":/x"}}}}});
  EXPECT_EQ(policy.decide(request, Mode::kProcess).verdict, Verdict::kAllowed);
  std::filesystem::create_symlink("run", in("/later"));
  EXPECT_EQ(policy.decide(request, Mode::kProcess).verdict, Verdict::kDenied);
}

TEST_F(HostPathsTest, ALinkDoesNotWidenWhatIsPermitted) {
  std::filesystem::create_symlink("/", in("/mine"));
  EXPECT_FALSE(mount_denied("{only: [" + in("/mine") + "]}", in("/mine")));
  EXPECT_FALSE(mount_denied("{only: [" + in("/var") + "]}", in("/var/run/engine")));
  EXPECT_TRUE(mount_denied("{only: [" + in("/run") + "]}", in("/run/engine")));
}

TEST_F(HostPathsTest, DevicesAreComparedByTheirNumbers) {
  EXPECT_EQ(HostPaths().nodes("/dev/null"), std::set<std::string>{"node c 1:3"});
  Policy policy = Policy::parse(
      "version: 1\nrules:\n- {match: {devices: [/dev/null]}, deny: all, because: x}\n- {match: any, allow: all}\n", "p");
  Request request = read_request({{"Image", "x"}});
  request.devices = {"/dev/another-name", "node c 1:3"};
  EXPECT_EQ(policy.decide(request, Mode::kProcess).verdict, Verdict::kDenied);
  request.devices = {"/dev/another-name", "node b 1:3"};
  EXPECT_EQ(policy.decide(request, Mode::kProcess).verdict, Verdict::kAllowed);
  auto device = [](const char* path) { return json{{"Devices", {{{"PathOnHost", path}}}}}; };
  EXPECT_TRUE(denied("devices: {only: [/dev/null]}", device("/dev/null")));
  EXPECT_FALSE(denied("devices: {only: [/dev/null]}", device("/dev/zero")));
}

}  // namespace
}  // namespace bulkhead::policy
