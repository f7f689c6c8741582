#include "runner/proc_targets.h"

#include <gtest/gtest.h>

namespace bulkhead::runner {

TEST(ProcTargets, OnlyAProcfsOnProc) {
  EXPECT_NO_THROW(check_proc_target("/proc", "proc", IsBind::kNo));
  EXPECT_NO_THROW(check_proc_target("/proc", "bind", IsBind::kYes)) << "the child looks at what it is";
  EXPECT_THROW(check_proc_target("/proc", "tmpfs", IsBind::kNo), Error);
}

TEST(ProcTargets, BelowOnlyWhatDescribesTheMachine) {
  EXPECT_NO_THROW(check_proc_target("/proc/cpuinfo", "bind", IsBind::kYes));
  EXPECT_NO_THROW(check_proc_target("/process", "bind", IsBind::kYes));
  for (const char* target : {"/proc/self", "/proc/sys", "/proc/cpuinfo/x", "/proc/1/attr"}) {
    EXPECT_THROW(check_proc_target(target, "bind", IsBind::kYes), Error) << target;
  }
}

}  // namespace bulkhead::runner
