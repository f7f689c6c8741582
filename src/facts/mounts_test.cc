#include "facts/mounts.h"

#include <gtest/gtest.h>

#include "facts/facts.pb.h"

namespace bulkhead::facts {
namespace {

constexpr const char* kHost =
    "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "22 21 0:5 / /proc rw - proc proc rw\n"
    "23 21 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "24 21 0:40 / /run rw - tmpfs tmpfs rw\n"
    "25 21 8:1 /volumes /data rw - ext4 /dev/sdb rw\n";

VisiblePath describe(const char* line) {
  auto entries = parse_mountinfo(line, 10);
  EXPECT_EQ(entries.size(), 1U);
  return describe_mount(entries.at(0), parse_mountinfo(kHost, 100));
}

TEST(Mounts, AFolderOfTheHostIsNamedByItsPathThere) {
  VisiblePath path = describe("90 80 254:0 /etc/a\\040b /mnt/x ro,relatime - ext4 /dev/vda rw");
  EXPECT_EQ(path.kind(), PATH_HOST);
  EXPECT_EQ(path.source(), "/etc/a b");
  EXPECT_EQ(path.inside(), "/mnt/x");
  EXPECT_TRUE(path.read_only());
  path = describe("90 80 8:1 /volumes/one /mnt rw - ext4 /dev/sdb rw,ro");
  EXPECT_EQ(path.source(), "/data/one");
  EXPECT_FALSE(path.read_only());
  EXPECT_EQ(describe("90 80 254:0 / /host rw - ext4 /dev/vda rw").source(), "/");
  EXPECT_EQ(describe("90 80 0:40 /docker.sock /s rw - tmpfs tmpfs rw").source(), "/run/docker.sock");
}

TEST(Mounts, EachHasItsPlaceInTheTree) {
  MountEntry entry = parse_mountinfo("90 80 8:1 /v /m ro shared:7 master:3 - ext4 /dev/sdb rw", 1).at(0);
  EXPECT_EQ(entry.id, 90U);
  EXPECT_EQ(entry.parent, 80U);
  EXPECT_TRUE(entry.propagates);
  EXPECT_TRUE(entry.read_only());
  EXPECT_FALSE(parse_mountinfo("90 80 8:1 /v /m rw unbindable - ext4 /dev/sdb ro", 1).at(0).propagates);
}

TEST(Mounts, ANameThatBeginsAlikeIsAnother) {
  VisiblePath path = describe("90 80 8:1 /volumes2 /mnt rw - ext4 /dev/sdb rw");
  EXPECT_EQ(path.kind(), PATH_ROOT);  // the host has nothing of it mounted
}

TEST(Mounts, WhatIsTheContainersOwn) {
  EXPECT_EQ(describe("80 1 0:77 / / rw - overlay overlay rw,lowerdir=/l").kind(), PATH_ROOT);
  EXPECT_EQ(describe("81 80 0:78 / /proc rw - proc proc rw").kind(), PATH_KERNEL);
  EXPECT_EQ(describe("82 80 0:79 / /dev rw - tmpfs tmpfs rw").kind(), PATH_MEMORY);
  EXPECT_EQ(describe("83 80 0:30 /bulkhead/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory").kind(), PATH_KERNEL);
}

TEST(Mounts, AMaskIsNoFileOfTheHost) {
  const char* host = "26 21 0:6 / /dev rw - devtmpfs devtmpfs rw\n";
  const auto kind = [&](const char* line) {
    return describe_mount(parse_mountinfo(line, 1).at(0), parse_mountinfo(host, 1)).kind();
  };
  EXPECT_EQ(kind("90 80 0:6 /null /proc/keys ro,nosuid - devtmpfs devtmpfs rw"), PATH_MASK);
  EXPECT_EQ(kind("90 80 0:6 /sda /proc/keys ro,nosuid - devtmpfs devtmpfs rw"), PATH_HOST);
}

TEST(Mounts, TheHostsProcIsTheHosts) { EXPECT_EQ(describe("81 80 0:5 /sys /p rw - proc proc rw").kind(), PATH_HOST); }

TEST(Mounts, NonsenseIsLeftOutAndMuchIsCut) {
  EXPECT_TRUE(parse_mountinfo("", 10).empty());
  EXPECT_TRUE(parse_mountinfo("a b c\n - \n1 2 3 - x y\na 2 3:4 / / rw - x y\n", 10).empty());
  std::string many;
  for (int i = 0; i < 50; ++i) {
    many += "1 2 3:4 / /x\\1 rw - t s rw\n";
  }
  EXPECT_EQ(parse_mountinfo(many, 7).size(), 7U);
}

}  // namespace
}  // namespace bulkhead::facts
