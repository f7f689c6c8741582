#include "doctor/cgroup_remedy.h"

#include <gtest/gtest.h>

namespace bulkhead::doctor {
namespace {

constexpr const char* kText =
    "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
    "cpu\t1\t9\t1\nmemory\t0\t1\t0\ndevices\t5\t9\t0\npids\t8\t9\t1\n";

TEST(CgroupRemedyTest, IsAsFarAsTheKernelGoes) {
  EXPECT_EQ(remedy_of_missing({"pids"}, kText, "/sys/fs/cgroup"),
            "mkdir -p /sys/fs/cgroup/pids && mount -t cgroup -o pids none /sys/fs/cgroup/pids");
  EXPECT_EQ(remedy_of_missing({"memory"}, kText, "/x"), "boot the kernel with cgroup_enable=memory swapaccount=1");
  EXPECT_EQ(remedy_of_missing({"devices", "freezer"}, kText, "/x"),
            "boot the kernel without cgroup_disable=devices; use a kernel with the freezer controller");
}

TEST(CgroupRemedyTest, NothingIsKnownWithoutTheFile) {
  EXPECT_EQ(remedy_of_missing({"pids"}, "", "/x"), "use a kernel with the pids controller");
}

}  // namespace
}  // namespace bulkhead::doctor
