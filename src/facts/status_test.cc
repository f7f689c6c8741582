#include "facts/status.h"

#include <gtest/gtest.h>

#include "facts/facts.pb.h"

namespace bulkhead::facts {
namespace {

TEST(Status, ReadsWhatConfinesAProcess) {
  Process process;
  read_status(
      "Name:\tUid: 7\nPPid:\t41\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\nVmRSS:\t    1024 "
      "kB\nCapInh:\t0000000000000000\n"
      "CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000001\n"
      "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3",
      process);
  EXPECT_EQ(process.parent(), 41);
  EXPECT_EQ(process.user(), 1001U);
  EXPECT_EQ(process.group(), 6U);
  EXPECT_EQ(process.memory(), 1U << 20);
  EXPECT_EQ(process.effective(), 0xa80425fbU);
  EXPECT_EQ(process.bounding(), 0x1ffffffffffU);
  EXPECT_EQ(process.ambient(), 1U);
  EXPECT_TRUE(process.no_new_privileges());
  EXPECT_EQ(process.seccomp_mode(), 2U);
  EXPECT_EQ(process.seccomp_filters(), 3U);
}

TEST(Status, TellsWhatHasEnded) {
  for (auto [text, ended] :
       {std::pair{"State:\tZ (zombie)\n", true}, {"State:\tX (dead)\n", true}, {"State:\tS (sleeping)\n", false}}) {
    Process process;
    read_status(text, process);
    EXPECT_EQ(process.ended(), ended) << text;
  }
}

TEST(Status, AnythingElseIsNothing) {
  Process process;
  for (const char* text : {"", "\n", "CapEff", "CapEff:", "CapEff:\t", "Seccomp:x", "\n\n:"}) {
    read_status(text, process);
    EXPECT_EQ(process.effective(), 0U) << text;
    EXPECT_EQ(process.seccomp_mode(), 0U) << text;
  }
}

TEST(Status, ReadsResourceLimits) {
  Process process;
  read_resource_limits(
      "Limit                     Soft Limit           Hard Limit           Units     \n"
      "Max cpu time              unlimited            unlimited            seconds   \n"
      "Max file size             1                    23                   bytes     \n",
      process);
  ASSERT_EQ(process.resource_limits_size(), 2);
  EXPECT_EQ(process.resource_limits(0).name(), "RLIMIT_CPU");
  EXPECT_EQ(process.resource_limits(0).hard(), UINT64_MAX);
  EXPECT_EQ(process.resource_limits(1).name(), "RLIMIT_FSIZE");
  EXPECT_EQ(process.resource_limits(1).hard(), 23U);
  for (const char* text : {"", "\n", "x", "x\ny", "\n\n\n"}) {
    Process none;
    read_resource_limits(text, none);
    EXPECT_EQ(none.resource_limits_size(), 0) << text;
  }
}

TEST(Status, ProcessorTimeIsFoundBehindAnyName) {
  EXPECT_EQ(processor_time_of("7 (a) 1 (b) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0", 100), 2000U);
  EXPECT_EQ(processor_time_of("7 (a) R 1 2", 100), 0U);
  EXPECT_EQ(processor_time_of("", 100), 0U);
}

}  // namespace
}  // namespace bulkhead::facts
