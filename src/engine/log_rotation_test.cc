#include "engine/log_rotation.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::engine {
namespace {

TEST(LogRotation, BecomesWhatTheShimReads) {
  EXPECT_EQ(log_rotation({}).query(), "");
  EXPECT_EQ(log_rotation({{"max-size", "2k"}}).query(), "?max-size=2048");
  EXPECT_EQ(log_rotation({{"max-file", "3"}}).query(), "?max-file=3");
  EXPECT_EQ(log_rotation({{"max-size", "10"}, {"max-file", "1000"}}).query(), "?max-size=10&max-file=1000");
}

TEST(LogRotation, WhatCannotBeIsRefused) {
  for (const char* size : {"", "x", "0", "-1", "1q", "99999999999999g"}) {
    EXPECT_THROW(log_rotation({{"max-size", size}}), Error) << size;
  }
  for (const char* files : {"", "x", "0", "-1", "3x", "1001", "99999999999999"}) {
    EXPECT_THROW(log_rotation({{"max-file", files}}), Error) << files;
  }
}

}  // namespace
}  // namespace bulkhead::engine
