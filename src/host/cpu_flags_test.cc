#include "host/cpu_flags.h"

#include <gtest/gtest.h>

namespace bulkhead::host {
namespace {

TEST(CpuFlagsTest, FlagsAreWholeWords) {
  EXPECT_TRUE(has_virtualization_flag("processor\t: 0\nflags\t\t: fpu vme svm\nbugs\t: none\n"));
  EXPECT_TRUE(has_virtualization_flag("processor\t: 0\nflags\t\t: fpu vmx lm\n"));
  EXPECT_FALSE(has_virtualization_flag("processor\t: 0\nflags\t\t: fpu svm_lock avmx\nbugs\t: vmx \n"));
  EXPECT_FALSE(has_virtualization_flag(""));
}

}  // namespace
}  // namespace bulkhead::host
