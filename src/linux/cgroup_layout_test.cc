#include "linux/cgroup_layout.h"

#include <gtest/gtest.h>

#include "linux/cgroup.h"
#include "linux/device_filter.h"
#include "support/error.h"

namespace bulkhead::linux {

TEST(CgroupLayout, Unified) {
  CgroupLayout layout = parse_cgroup_layout("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  EXPECT_TRUE(layout.is_unified());
  EXPECT_EQ(layout.unified, "/sys/fs/cgroup");
}

TEST(CgroupLayout, HybridWithJoinedControllers) {
  CgroupLayout layout = parse_cgroup_layout(
      "31 30 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
      "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
      "33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "34 30 0:29 / /mnt/a\\040b rw - cgroup cgroup rw,cpu,cpuacct\n");
  EXPECT_FALSE(layout.is_unified());
  ASSERT_EQ(layout.v1.size(), 2U);
  EXPECT_EQ(layout.find("cpuacct")->mount_point, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(layout.find("name=systemd")->mount_point, "/sys/fs/cgroup/systemd");
  EXPECT_EQ(layout.find("memory"), nullptr);
}

TEST(Cgroup, RefusesPathsThatAreNotItsOwn) {
  for (const char* path : {"", "/", "/..", "/a/../b", "a/./b", "system.slice:docker:id"}) {
    EXPECT_THROW(Cgroup{path}, Error) << path;
  }
  EXPECT_EQ(Cgroup("/a/b").path(), "a/b");
}

TEST(DeviceFilter, NothingFollowsARuleForEverything) {
  oci::DeviceRule everything{.allow = false, .type = 'a', .major = {}, .minor = {}, .access = "rwm"};
  oci::DeviceRule null{.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "rw"};
  auto program = compile_device_filter({null, everything});
  EXPECT_EQ(program.size(), 8U);  // six to load, two to deny: the rule before it can't count
  EXPECT_EQ(compile_device_filter({everything, null}).size(), 6U + 8U + 2U);
}

}  // namespace bulkhead::linux
