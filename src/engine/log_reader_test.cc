#include "engine/log_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <fstream>

#include "support/files.h"
#include "support/random.h"

namespace bulkhead::engine {
namespace {

std::string line(int second, std::string_view text, std::string_view stream = "stdout") {
  return fmt::format("{{\"log\":\"{}\\n\",\"stream\":\"{}\",\"time\":\"1970-01-01T00:00:{:02}Z\"}}\n", text, stream, second);
}

class LogReaderTest : public ::testing::Test {
 protected:
  LogReaderTest() : folder_(std::filesystem::temp_directory_path() / ("bulkhead-log-" + random_hex(8))) {
    make_folders(folder_);
  }
  ~LogReaderTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path log() const { return folder_ / "a.log"; }
  void append(std::string_view text, std::string_view name = "a.log") const {
    std::ofstream(folder_ / name, std::ios::app) << text;
  }
  static std::string rest(LogReader& reader) {
    std::string text;
    while (auto entry = reader.next()) {
      text += entry->text;
    }
    return text;
  }
  std::string read(LogSelection selection) const {
    LogReader reader(log(), selection, LogReader::Follow::kNo);
    return rest(reader);
  }

  std::filesystem::path folder_;
};

TEST_F(LogReaderTest, ReadsAllFilesFromTheOldest) {
  append(line(1, "a"), "a.log.2");
  append(line(2, "b"), "a.log.1");
  append(line(3, "c"));
  EXPECT_EQ(read({}), "a\nb\nc\n");
}

TEST_F(LogReaderTest, AMissingLogIsEmpty) { EXPECT_EQ(read({.tail = 3}), ""); }

TEST_F(LogReaderTest, TakesTheTailAcrossRotatedFiles) {
  append(line(1, "a") + line(2, "b"), "a.log.2");
  append(line(3, "c") + line(4, "d"), "a.log.1");
  append(line(5, "e"));
  const std::array<std::string, 7> expected = {
      "", "e\n", "d\ne\n", "c\nd\ne\n", "b\nc\nd\ne\n", "a\nb\nc\nd\ne\n", "a\nb\nc\nd\ne\n"};
  for (uint64_t count = 0; count < expected.size(); ++count) {
    EXPECT_EQ(read({.tail = count}), expected[count]) << count;
  }
}

TEST_F(LogReaderTest, TakesTheTailOfALongLog) {
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += line(1, fmt::format("line {}", i));
  }
  append(text);
  EXPECT_EQ(read({.tail = 2}), "line 4998\nline 4999\n");
  std::string many = read({.tail = 4000});
  EXPECT_EQ(many.substr(0, 10), "line 1000\n");
}

TEST_F(LogReaderTest, SkipsTornAndForeignLines) {
  append(line(1, "a") + "{\"log\":\"torn" + line(2, "b") + "garbage\n\n{\"log\":1}\n" + line(3, "c") + "{\"log\":\"unfin");
  EXPECT_EQ(read({}), "a\nb\nc\n");
  EXPECT_EQ(read({.tail = 1}), "c\n");
}

TEST_F(LogReaderTest, SelectsByStreamAndTime) {
  append(line(1, "a") + line(2, "b", "stderr") + line(3, "c") + line(4, "d"));
  EXPECT_EQ(read({.out = false}), "b\n");
  EXPECT_EQ(read({.err = false}), "a\nc\nd\n");
  EXPECT_EQ(read({.since = TimePoint(std::chrono::seconds(2)), .until = TimePoint(std::chrono::seconds(3))}), "b\nc\n");
}

TEST_F(LogReaderTest, ReadsEscapesAndAttributes) {
  append(
      R"({"log":"\u00e9\ud83d\ude00\t\"\\\u0000\ud800x","stream":"stderr","attrs":{"b":"2","a":"1"},"time":"1970-01-01T00:00:01.5Z"})"
      "\n");
  LogReader reader(log(), {}, LogReader::Follow::kNo);
  auto entry = reader.next();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->text, std::string("\xc3\xa9\xf0\x9f\x98\x80\t\"\\\0\xef\xbf\xbdx", 14));
  EXPECT_EQ(entry->attributes, "a=1,b=2");
  EXPECT_EQ(entry->stream, LogStream::kErr);
}

TEST_F(LogReaderTest, FollowsAcrossRotations) {
  append(line(1, "a"));
  LogReader reader(log(), {.tail = 0}, LogReader::Follow::kYes);
  EXPECT_EQ(rest(reader), "");
  append(line(2, "b") + "{\"log\":\"half");
  EXPECT_EQ(rest(reader), "b\n");
  append("\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:03Z\"}\n");
  pollfd polled{reader.descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 1000), 1);
  reader.acknowledge();
  EXPECT_EQ(::poll(&polled, 1, 0), 0);
  EXPECT_EQ(rest(reader), "half");
  append(line(4, "c"));
  std::filesystem::rename(log(), folder_ / "a.log.1");
  append(line(5, "d"));
  std::filesystem::rename(folder_ / "a.log.1", folder_ / "a.log.2");
  std::filesystem::rename(log(), folder_ / "a.log.1");
  append(line(6, "e"));
  EXPECT_EQ(rest(reader), "c\nd\ne\n");
  append(line(7, "f"));
  EXPECT_EQ(rest(reader), "f\n");
}

TEST_F(LogReaderTest, FollowsALogThatIsEmptiedInPlace) {
  append(line(1, "a") + line(1, "b"));
  LogReader reader(log(), {}, LogReader::Follow::kYes);
  EXPECT_EQ(rest(reader), "a\nb\n");
  std::filesystem::resize_file(log(), 0);
  append(line(2, "c"));
  EXPECT_EQ(rest(reader), "c\n");
}

TEST_F(LogReaderTest, FollowsALogThatComesLater) {
  LogReader reader(log(), {}, LogReader::Follow::kYes);
  EXPECT_EQ(rest(reader), "");
  append(line(1, "a"));
  EXPECT_EQ(rest(reader), "a\n");
}

TEST_F(LogReaderTest, PassesALineThatIsTooLong) {
  append("{\"log\":\"" + std::string(3 << 20, 'x') + "\n" + line(1, "a"));
  EXPECT_EQ(read({}), "a\n");
}

TEST_F(LogReaderTest, FollowsNoLink) {
  append(line(1, "secret"), "other");
  std::filesystem::create_symlink(folder_ / "other", log());
  EXPECT_THROW(read({}), std::exception);
}

}  // namespace
}  // namespace bulkhead::engine
