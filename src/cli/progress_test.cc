#include "cli/progress.h"

#include <gtest/gtest.h>

#include "cli/table.h"

namespace bulkhead::cli {
namespace {

ProgressLine line(std::string id, std::string status, int64_t current = 0, int64_t total = 0) {
  return {std::move(id), std::move(status), current, total};
}

TEST(ProgressText, DrawsABarThatFits) {
  EXPECT_EQ(progress_text(line("a1b2", "Waiting"), 80), "a1b2: Waiting");
  EXPECT_EQ(progress_text(line("a1b2", "Downloading", 50, 100), 52), "a1b2: Downloading [=========>        ]      50B/100B");
  for (size_t width : {10U, 30U, 40U, 80U, 200U}) {
    EXPECT_LE(display_width(progress_text(line("a1b2c3d4e5f6", "Downloading", 12'300'000, 45'600'000), width)), width);
  }
}

TEST(ProgressText, SurvivesOddNumbers) {
  EXPECT_EQ(progress_text(line("a", "Extracting", 5, 0), 80), "a: Extracting       5B");
  EXPECT_NE(progress_text(line("a", "Downloading", 200, 100), 80).find("[=========="), std::string::npos);
}

TEST(ProgressBlock, FinishedLinesGiveWayToOthers) {
  std::vector<ProgressLine> lines;
  lines.reserve(20);
  for (int i = 0; i < 20; ++i) {
    lines.push_back(line(std::to_string(i), i < 15 ? "Pull complete" : "Downloading"));
  }
  std::vector<std::string> block = progress_block(lines, {.rows = 10, .columns = 80});
  ASSERT_EQ(block.size(), 8U);
  EXPECT_EQ(block.back(), "and 13 more");
  EXPECT_EQ(block[block.size() - 2], "19: Downloading");
  EXPECT_EQ(progress_block(lines, {.rows = 40, .columns = 80}).size(), 20U);
}

}  // namespace
}  // namespace bulkhead::cli
