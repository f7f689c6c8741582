#include "engine/policy_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

using testing::HasSubstr;

constexpr const char* kOneRule = "version: 1\nrules:\n- {match: any, allow: all}\n";
constexpr const char* kTwoRules = "version: 1\nrules:\n- {match: {image: x}, allow: all}\n- {match: any, allow: all}\n";

class PolicyStoreTest : public testing::Test {
 protected:
  PolicyStoreTest() { make_folders(folder_); }
  ~PolicyStoreTest() override { remove_folder(folder_); }
  PolicyStoreTest(const PolicyStoreTest&) = delete;
  PolicyStoreTest& operator=(const PolicyStoreTest&) = delete;

  void write(std::string_view text, mode_t mode = 0644) const { replace_file(file_, text, mode, Durability::kUnsynced); }
  static size_t rules(PolicyStore& store) { return store.current()->rules.rules().size(); }
  static std::string refusal(PolicyStore& store) {
    try {
      store.current();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kPermissionDenied);
      return error.message();
    }
    return "(none)";
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / fmt::format("policy-store-test-{}", ::getpid());
  std::filesystem::path file_ = folder_ / "policy.yaml";
};

TEST_F(PolicyStoreTest, NoFileInTheUsualPlaceIsNoPolicyAndOneThatComesIsInForce) {
  PolicyStore store(file_, PolicyFile::kUsual);
  EXPECT_EQ(store.current()->rules.file(), "");
  EXPECT_EQ(store.status().file, "");
  write(kOneRule);
  EXPECT_EQ(store.current()->rules.file(), file_.native());
  EXPECT_EQ(store.status().rules, 1U);
}

TEST_F(PolicyStoreTest, AFileThatWasNamedHasToBeThere) {
  PolicyStore store(file_, PolicyFile::kNamed);
  EXPECT_THAT(refusal(store), HasSubstr(file_.native()));
  EXPECT_FALSE(store.status().in_force);
  write(kOneRule);
  EXPECT_EQ(rules(store), 1U);
}

TEST_F(PolicyStoreTest, ABrokenFileAtTheStartRefusesEverything) {
  write("version: 1\n");
  PolicyStore store(file_, PolicyFile::kUsual);
  EXPECT_THAT(refusal(store), HasSubstr("policy.yaml:1:1"));
  write(kOneRule);
  EXPECT_EQ(rules(store), 1U);
}

TEST_F(PolicyStoreTest, AMistakeLaterKeepsTheVersionBefore) {
  write(kTwoRules);
  PolicyStore store(file_, PolicyFile::kNamed);
  write("rules:\n");
  EXPECT_EQ(rules(store), 2U);
  EXPECT_THAT(store.status().error, HasSubstr("policy.yaml:1:1"));
  EXPECT_TRUE(store.status().in_force);
  std::filesystem::remove(file_);
  EXPECT_EQ(rules(store), 2U);
  write(kOneRule);
  EXPECT_EQ(rules(store), 1U);
  EXPECT_EQ(store.status().error, "");
}

TEST_F(PolicyStoreTest, AFileThatOthersMayWriteIsAMistake) {
  write(kOneRule);
  std::filesystem::permissions(file_, std::filesystem::perms(0664));
  PolicyStore store(file_, PolicyFile::kNamed);
  EXPECT_THAT(refusal(store), HasSubstr("others than root"));
  std::filesystem::permissions(file_, std::filesystem::perms(0644));
  EXPECT_EQ(rules(store), 1U);
}

TEST_F(PolicyStoreTest, APipeInItsPlaceHoldsNobodyUp) {
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  PolicyStore store(file_, PolicyFile::kNamed);
  EXPECT_THAT(refusal(store), HasSubstr("no regular file"));
}

TEST_F(PolicyStoreTest, AProfileIsReadAgainAfterAChangeAndHasToBeRootsToo) {
  std::filesystem::path profile = folder_ / "p.json";
  auto write_profile = [&](std::string_view text, unsigned mode) {
    replace_file(profile, text, 0644, Durability::kUnsynced);
    std::filesystem::permissions(profile, std::filesystem::perms(mode));  // whatever the umask is
  };
  write_profile(R"({"defaultAction": "SCMP_ACT_ALLOW"})", 0644);
  write(fmt::format("version: 1\nrules:\n- {{match: any, allow: all, walls: {{seccomp: {}}}}}\n", profile.native()));
  PolicyStore store(file_, PolicyFile::kNamed);
  auto text = [&] { return store.current()->seccomp_profiles.at(profile.native()); };
  EXPECT_THAT(text(), HasSubstr("ALLOW"));
  write_profile(R"({"defaultAction": "SCMP_ACT_ERRNO"})", 0644);
  EXPECT_THAT(text(), HasSubstr("ERRNO"));
  write_profile(R"({"defaultAction": "SCMP_ACT_LOG"})", 0666);
  EXPECT_THAT(text(), HasSubstr("ERRNO")) << "what was in force stays";
  EXPECT_THAT(store.status().error, testing::AllOf(HasSubstr("policy.yaml:3:45: "), HasSubstr("others than root")));
  std::filesystem::permissions(profile, std::filesystem::perms(0644));
  EXPECT_THAT(text(), HasSubstr("LOG"));
}

TEST_F(PolicyStoreTest, WhatOnlyTheEngineKnowsIsCheckedWhenItIsRead) {
  write("version: 1\nrules:\n- {match: any, allow: all, walls: {drop-capabilities: [NET_ROW]}}\n");
  PolicyStore capability(file_, PolicyFile::kNamed);
  EXPECT_THAT(refusal(capability), HasSubstr("NET_ROW"));
  write(fmt::format("version: 1\nrules:\n- {{match: any, allow: all, walls: {{seccomp: {}/p.json}}}}\n", folder_.native()));
  PolicyStore profile(file_, PolicyFile::kNamed);
  EXPECT_THAT(refusal(profile), HasSubstr("p.json"));
  replace_file(folder_ / "p.json", R"({"defaultAction": "SCMP_ACT_ALLOW"})", 0644, Durability::kUnsynced);
  profile.reload();
  EXPECT_EQ(profile.current()->seccomp_profiles.size(), 1U);
}

}  // namespace
}  // namespace bulkhead::engine
