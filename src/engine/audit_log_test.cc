#include "engine/audit_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

class AuditLogTest : public testing::Test {
 protected:
  AuditLogTest() { make_folders(folder_); }
  ~AuditLogTest() override { remove_folder(folder_); }
  AuditLogTest(const AuditLogTest&) = delete;
  AuditLogTest& operator=(const AuditLogTest&) = delete;

  size_t lines(const std::string& name) const {
    std::istringstream text(read_file(folder_ / name));
    size_t count = 0;
    for (std::string line; std::getline(text, line); ++count) {
      EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
    }
    return count;
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / fmt::format("audit-log-test-{}", ::getpid());
};

TEST_F(AuditLogTest, EachEntryIsALineForItsOwnerOnly) {
  AuditLog log(folder_ / "a.log");
  log.write({{"x", "two\nlines"}});
  log.write({{"x", "not \xff UTF-8"}});
  EXPECT_EQ(lines("a.log"), 2U);
  struct stat status {};
  ASSERT_EQ(::stat((folder_ / "a.log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(AuditLogTest, TheNextOneGoesOnWhereItWas) {
  AuditLog(folder_ / "a.log").write({{"x", 1}});
  AuditLog(folder_ / "a.log").write({{"x", 2}});
  EXPECT_EQ(lines("a.log"), 2U);
}

TEST_F(AuditLogTest, RotatesBySizeAndKeepsFive) {
  AuditLog log(folder_ / "a.log", 120);
  for (int i = 0; i < 50; ++i) {
    log.write({{"number", i}, {"text", std::string(30, 'x')}});
  }
  for (const char* name : {"a.log", "a.log.1", "a.log.5"}) {
    EXPECT_EQ(lines(name), 2U) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.log.6"));
  EXPECT_NE(read_file(folder_ / "a.log").find("\"number\":49"), std::string::npos);
}

TEST_F(AuditLogTest, BeginsAgainWhereItsFileWasTakenAway) {
  AuditLog log(folder_ / "a.log");
  log.write({{"x", 1}});
  std::filesystem::rename(folder_ / "a.log", folder_ / "b.log");
  log.write({{"x", 2}});
  std::filesystem::remove(folder_ / "a.log");
  log.write({{"x", 3}});
  EXPECT_EQ(lines("b.log"), 1U);
  EXPECT_EQ(lines("a.log"), 1U);
}

TEST_F(AuditLogTest, ManyAtOnceLoseNothing) {
  AuditLog log(folder_ / "a.log");
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        log.write({{"x", std::string(200, 'x')}});
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(lines("a.log"), 800U);
}

TEST_F(AuditLogTest, WhatCanNotBeWrittenIsAnError) {
  AuditLog missing(folder_ / "no" / "a.log");
  EXPECT_THROW(missing.write({{"x", 1}}), Error);
  // SECURITY: a link in its place would let somebody else's file be written.
  std::filesystem::create_symlink("/dev/null", folder_ / "link.log");
  AuditLog link(folder_ / "link.log");
  EXPECT_THROW(link.write({{"x", 1}}), Error);
}

}  // namespace
}  // namespace bulkhead::engine
