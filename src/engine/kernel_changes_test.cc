#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/admission.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

class KernelChangesTest : public testing::Test {
 protected:
  KernelChangesTest() { make_folders(folder_); }
  ~KernelChangesTest() override { remove_folder(folder_); }
  KernelChangesTest(const KernelChangesTest&) = delete;
  KernelChangesTest& operator=(const KernelChangesTest&) = delete;

  ErrorCode ask(const policy::Caller& caller, const KernelChange& change = {.event = "kernel rm", .name = "mine"}) {
    try {
      Admission({.policy_file = folder_ / "none.yaml", .audit_log = folder_ / "audit.log"}, events_)
          .check_kernel_change(caller, change);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kAlreadyDone;  // nothing was thrown
  }
  nlohmann::json last_line() const {
    std::string text = read_file(folder_ / "audit.log");
    text.pop_back();
    return nlohmann::json::parse(text.substr(text.rfind('\n') + 1));
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / fmt::format("kernel-changes-test-{}", ::getpid());
  EventBus events_;
};

TEST_F(KernelChangesTest, AreRootsByTheUnixSocket) {
  EXPECT_EQ(ask({.uid = 0, .tls_name = {}}), ErrorCode::kAlreadyDone);
  EXPECT_EQ(last_line()["verdict"], "allowed");
  // Somebody else, the owner of a certificate that calls itself root, and whoever comes by plain TCP.
  for (const policy::Caller& caller : {policy::Caller{.uid = 1001, .tls_name = {}}, {.uid = {}, .tls_name = "root"}, {}}) {
    EXPECT_EQ(ask(caller), ErrorCode::kPermissionDenied) << caller.text();
    EXPECT_EQ(last_line()["verdict"], "denied");
    EXPECT_THAT(last_line()["because"], testing::HasSubstr(caller.text()));
  }
  EXPECT_EQ(events_.next(), 4U);
}

TEST_F(KernelChangesTest, LinesAreBounded) {
  ask({}, {.event = "kernel add", .name = std::string(10'000, 'x'), .path = "/" + std::string(10'000, '\377')});
  EXPECT_EQ(last_line()["kernel"], std::string(64, 'x'));
  EXPECT_LT(read_file(folder_ / "audit.log").size(), 4096U);
}

TEST_F(KernelChangesTest, WhatCanNotBeWrittenDownIsNotDone) {
  std::filesystem::create_directory(folder_ / "audit.log");
  EXPECT_NE(ask({.uid = 0, .tls_name = {}}), ErrorCode::kAlreadyDone);
  EXPECT_EQ(events_.next(), 0U);
}

}  // namespace
}  // namespace bulkhead::engine
