#include "shim/json_log.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/error.h"
#include "support/files.h"
#include "support/random.h"

namespace bulkhead::shim {
namespace {

class JsonLogTest : public testing::Test {
 protected:
  JsonLogTest() { std::filesystem::create_directory(folder_); }
  ~JsonLogTest() override { std::filesystem::remove_all(folder_); }

  std::vector<nlohmann::json> entries(const std::string& suffix = "") {
    std::vector<nlohmann::json> out;
    std::istringstream lines(read_file(log_ + suffix));
    for (std::string line; std::getline(lines, line);) {
      out.push_back(nlohmann::json::parse(line));
    }
    return out;
  }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() / ("bulkhead-json-log-" + random_hex(8));
  std::string log_ = folder_ / "c-json.log";
  TimePoint time_ = *parse_rfc3339("2026-01-02T03:04:05.120000000Z");
};

TEST_F(JsonLogTest, WritesDockersBytes) {
  JsonLog log(log_, {});
  log.write(StreamKind::kOut, "hi \"there\"\t<&>\\\r\nerr", time_);
  log.write(StreamKind::kErr, "x\n", time_);
  log.finish(StreamKind::kOut, time_);
  EXPECT_EQ(
      read_file(log_),
      "{\"log\":\"hi "
      "\\\"there\\\"\\u0009\\u003c\\u0026\\u003e\\\\\\r\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.12Z\"}\n"
      "{\"log\":\"x\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.12Z\"}\n"
      "{\"log\":\"err\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.12Z\"}\n");
}

TEST_F(JsonLogTest, ReplacesWhatIsNotUtf8) {
  std::string out;
  append_json_text(out, "a\xff\xc3\xa9\xc3|\xed\xa0\x80|\xf4\x90\x80\x80|\xc0\xaf|\xf0\x9f\x98\x80\xe2\x80\xa8\x7f");
  EXPECT_EQ(
      out,
      "a\\ufffd\xc3\xa9\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd|\xf0\x9f\x98\x80\\u2028\x7f");
}

TEST_F(JsonLogTest, SplitsLongLines) {
  JsonLog log(log_, {});
  std::string line(2 * JsonLog::kMaxLine + 10, 'x');
  for (size_t i = 0; i < line.size(); i += 1000) {  // arrives in pieces
    log.write(StreamKind::kOut, std::string_view(line).substr(i, 1000), time_);
  }
  log.write(StreamKind::kOut, "\nnext\n", time_);
  auto found = entries();
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0]["log"].get<std::string>(), std::string(JsonLog::kMaxLine, 'x'));
  EXPECT_EQ(found[1]["log"].get<std::string>(), std::string(JsonLog::kMaxLine, 'x'));
  EXPECT_EQ(found[2]["log"], "xxxxxxxxxx\n");
  EXPECT_EQ(found[3]["log"], "next\n");
}

TEST_F(JsonLogTest, ALineThatJustFillsThePieceEndsInAnEmptyOne) {
  JsonLog log(log_, {});
  log.write(StreamKind::kOut, std::string(JsonLog::kMaxLine, 'x') + "\n", time_);
  auto found = entries();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1]["log"], "\n");
}

TEST_F(JsonLogTest, StreamsDontMixTheirUnfinishedLines) {
  JsonLog log(log_, {});
  log.write(StreamKind::kOut, "o", time_);
  log.write(StreamKind::kErr, "e", time_);
  log.write(StreamKind::kOut, "ut\n", time_);
  log.write(StreamKind::kErr, "rr\n", time_);
  auto found = entries();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0]["log"], "out\n");
  EXPECT_EQ(found[1]["log"], "err\n");
}

TEST_F(JsonLogTest, RotatesAndKeepsMaxFile) {
  JsonLog log(log_, {.max_size = 200, .max_file = 3});
  std::string all;
  for (int i = 0; i < 100; ++i) {
    all += std::to_string(i) + "\n";
  }
  log.write(StreamKind::kOut, all, time_);
  EXPECT_FALSE(std::filesystem::exists(log_ + ".3"));
  auto last = entries();
  auto before = entries(".1");
  auto first = entries(".2");
  EXPECT_EQ(last.back()["log"], "99\n");
  std::vector<nlohmann::json> kept = first;
  kept.insert(kept.end(), before.begin(), before.end());
  kept.insert(kept.end(), last.begin(), last.end());
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i]["log"], std::to_string(100 - kept.size() + i) + "\n");
  }
  EXPECT_LT(std::filesystem::file_size(log_ + ".1"), 300U);
}

TEST_F(JsonLogTest, WithOneFileStartsAgain) {
  JsonLog log(log_, {.max_size = 100, .max_file = 1});
  for (int i = 0; i < 10; ++i) {
    log.write(StreamKind::kOut, "line\n", time_);
  }
  EXPECT_LE(std::filesystem::file_size(log_), 200U);
  EXPECT_FALSE(std::filesystem::exists(log_ + ".1"));
}

TEST_F(JsonLogTest, GoesOnInAnExistingFile) {
  JsonLog(log_, {}).write(StreamKind::kOut, "a\n", time_);
  JsonLog(log_, {}).write(StreamKind::kOut, "b\n", time_);
  EXPECT_EQ(entries().size(), 2U);
}

TEST_F(JsonLogTest, AFullDiskLosesWholeLinesOnly) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  (void)std::signal(SIGXFSZ, SIG_IGN);
  JsonLog log(log_, {});
  log.write(StreamKind::kOut, "kept\n", time_);
  rlimit tight{.rlim_cur = std::filesystem::file_size(log_) + 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  log.write(StreamKind::kOut, "lost\n", time_);
  log.write(StreamKind::kOut, "lost too\n", time_);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  log.write(StreamKind::kOut, "kept too\n", time_);
  auto found = entries();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[1]["log"], "kept too\n");
}

TEST_F(JsonLogTest, RefusesALink) {
  std::filesystem::create_symlink("/etc/passwd", log_);
  EXPECT_THROW(JsonLog(log_, {}), Error);
}

TEST(Rfc3339Nano, DropsTrailingZeros) {
  EXPECT_EQ(rfc3339_nano(*parse_rfc3339("2026-01-02T03:04:05.000000000Z")), "2026-01-02T03:04:05Z");
  EXPECT_EQ(rfc3339_nano(*parse_rfc3339("2026-01-02T03:04:10.100000000Z")), "2026-01-02T03:04:10.1Z");
  EXPECT_EQ(rfc3339_nano(*parse_rfc3339("2026-01-02T03:04:05.123456789Z")), "2026-01-02T03:04:05.123456789Z");
}

}  // namespace
}  // namespace bulkhead::shim
