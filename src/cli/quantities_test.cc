#include "cli/quantities.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(HumanSize, IsDockersDecimalNotation) {
  EXPECT_EQ(human_size(0), "0B");
  EXPECT_EQ(human_size(999), "999B");
  EXPECT_EQ(human_size(1000), "1kB");
  EXPECT_EQ(human_size(1'980'000), "1.98MB");
  EXPECT_EQ(human_size(206'123'456), "206MB");
  EXPECT_EQ(human_size(206'123'456, 4), "206.1MB");
  EXPECT_EQ(human_size(4.5e12), "4.5TB");
}

TEST(BinarySize, HasFourDigits) {
  EXPECT_EQ(binary_size(1024), "1KiB");
  EXPECT_EQ(binary_size(25'185'000'000), "23.46GiB");
}

TEST(ParseSize, TakesUnitsOf1024) {
  EXPECT_EQ(parse_size("0"), 0);
  EXPECT_EQ(parse_size("512"), 512);
  EXPECT_EQ(parse_size("4b"), 4);
  EXPECT_EQ(parse_size("64m"), 64 << 20);
  EXPECT_EQ(parse_size("64M"), 64 << 20);
  EXPECT_EQ(parse_size("1.5GiB"), 3LL << 29);
  EXPECT_EQ(parse_size("2 kb"), 2048);
}

TEST(ParseSize, RefusesWhatIsNoSize) {
  for (const char* text :
       {"", "m", "-1", "1x", "1.2.3", "12 mm", "5i", "nan", "inf", "1e5", "9223372036854775808", "100000000t", " 1"}) {
    EXPECT_THROW(parse_size(text), Error) << text;
  }
}

TEST(ParseCpus, IsExact) {
  EXPECT_EQ(parse_cpus("1"), 1'000'000'000);
  EXPECT_EQ(parse_cpus("1.5"), 1'500'000'000);
  EXPECT_EQ(parse_cpus(".5"), 500'000'000);
  EXPECT_EQ(parse_cpus("0.000000001"), 1);
  for (const char* text : {"", ".", "-1", "1,5", "1.0000000001", "x", "1.5.5", "99999999999"}) {
    EXPECT_THROW(parse_cpus(text), Error) << text;
  }
}

TEST(HumanDuration, IsDockersWords) {
  EXPECT_EQ(human_duration(seconds(-5)), "Less than a second");
  EXPECT_EQ(human_duration(seconds(1)), "1 second");
  EXPECT_EQ(human_duration(seconds(59)), "59 seconds");
  EXPECT_EQ(human_duration(seconds(119)), "About a minute");
  EXPECT_EQ(human_duration(minutes(45)), "45 minutes");
  EXPECT_EQ(human_duration(minutes(80)), "About an hour");
  EXPECT_EQ(human_duration(hours(47)), "47 hours");
  EXPECT_EQ(human_duration(hours(24 * 10)), "10 days");
  EXPECT_EQ(human_duration(hours(24 * 21)), "3 weeks");
  EXPECT_EQ(human_duration(hours(24 * 90)), "3 months");
  EXPECT_EQ(human_duration(hours(24 * 365 * 3)), "3 years");
}

TEST(Timestamp, ReadsWhatLogsAccept) {
  TimePoint now{seconds(1'000'000'000)};
  EXPECT_EQ(timestamp("10", now), "10");
  EXPECT_EQ(timestamp("10m", now), "999999400.000000000");
  EXPECT_EQ(timestamp("1h30m", now), "999994600.000000000");
  EXPECT_EQ(timestamp("1.5s", now), "999999998.500000000");
  EXPECT_EQ(timestamp("1136073600.000000001", now), "1136073600.000000001");
  EXPECT_EQ(timestamp("2001-09-09T01:46:40Z", now), "1000000000.000000000");
  EXPECT_EQ(timestamp("2001-09-09T03:46:40.25+02:00", now), "1000000000.250000000");
  for (const char* text : {"", "yesterday", "10x", "m", "1.2.3"}) {
    EXPECT_THROW(timestamp(text, now), Error) << text;
  }
}

}  // namespace
}  // namespace bulkhead::cli
