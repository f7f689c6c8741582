#include "linux/process_stat.h"

#include <gtest/gtest.h>

namespace bulkhead::linux {
namespace {

TEST(ProcessStatTest, FieldsAreCountedBehindTheName) {
  auto stat = ProcessStat::parse("7 (a) 1 (b\n) R 6 5\n");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name(), "a) 1 (b\n");
  EXPECT_EQ(stat->field(3), "R");
  EXPECT_EQ(stat->field(5), "5");
  for (size_t none : {0U, 2U, 6U}) {
    EXPECT_EQ(stat->field(none), "");
  }
}

TEST(ProcessStatTest, WhatIsNoneOfItsTexts) {
  for (const char* text : {"", "7", "7 (a", ")7("}) {
    EXPECT_FALSE(ProcessStat::parse(text)) << text;
  }
}

}  // namespace
}  // namespace bulkhead::linux
