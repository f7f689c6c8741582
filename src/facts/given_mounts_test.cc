#include "facts/given_mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "facts/facts.pb.h"
#include "facts/mount_tree.h"

namespace bulkhead::facts {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kHost =
    "21 1 254:0 / / rw - ext4 /dev/vda rw\n"
    "22 21 0:5 / /proc rw - proc proc rw\n"
    "24 21 0:6 / /dev rw - devtmpfs devtmpfs rw\n"
    "25 21 8:1 / /data rw shared:1 - ext4 /dev/sdb rw\n";
constexpr const char* kStart =
    "80 70 0:77 / / rw - overlay overlay rw\n"
    "81 80 0:78 / /proc rw - proc proc rw\n"
    "82 80 0:79 / /sys ro - sysfs sysfs ro\n"
    "83 80 254:0 /srv /m ro - ext4 /dev/vda rw\n"
    "84 81 0:78 /sys /proc/sys ro - proc proc rw\n"
    "85 81 0:6 /null /proc/keys ro - devtmpfs devtmpfs rw\n"
    "86 82 0:80 / /sys/firmware ro - tmpfs tmpfs rw\n"
    "87 80 8:1 / /slave rw master:1 - ext4 /dev/sdb rw\n";

class GivenMounts : public ::testing::Test {
 protected:
  GivenMounts() { given_.mountinfo = kStart; }

  /// What isn't as given: "+/place", "-/place"; "rw/place" for what was read-only.
  std::vector<std::string> tell(const std::string& now, const char* host = kHost) {
    std::vector<VisiblePath> told;
    comparable_ = tell_mounts(
        parse_mountinfo(now, SIZE_MAX), parse_mountinfo(host, SIZE_MAX), given_, [&](const std::string&) { return file_; },
        told);
    std::vector<std::string> found;
    for (const VisiblePath& path : told) {
      destinations_[path.inside()] = path.destination();
      if (path.standing() != STANDING_GIVEN) {
        found.push_back((path.standing() == STANDING_GONE ? "-" : "+") + path.inside());
      } else if (path.read_only_at_start() && !path.read_only()) {
        found.push_back("rw" + path.inside());
      }
    }
    return found;
  }
  static std::string without(const std::string& id, const std::string& with = "") {
    std::string text = std::string("\n") + kStart;
    size_t begin = text.find("\n" + id + " ") + 1;
    size_t end = text.find('\n', begin) + 1;
    return text.replace(begin, end - begin, with).substr(1);
  }

  facts::GivenMounts given_;
  std::optional<FileIdentity> file_;
  std::map<std::string, std::string> destinations_;
  bool comparable_ = false;
};

TEST_F(GivenMounts, WhatWasThereIsGiven) {
  EXPECT_THAT(tell(kStart), IsEmpty());
  EXPECT_TRUE(comparable_);
}

TEST_F(GivenMounts, AnotherFolderOverOneIsAdded) {
  EXPECT_THAT(tell(kStart + std::string("99 83 254:0 /etc /m rw - ext4 /dev/vda rw\n")), ElementsAre("+/m", "-/m"));
  EXPECT_THAT(tell(kStart + std::string("99 86 254:0 /etc /sys/firmware rw - ext4 /dev/vda rw\n")),
              ElementsAre("+/sys/firmware", "-/sys/firmware"));
  // After umount(2), under the number that became free.
  EXPECT_THAT(tell(without("83", "83 80 254:0 /etc /m ro - ext4 /dev/vda rw\n")), ElementsAre("+/m"));
}

TEST_F(GivenMounts, ARenamedOrRemovedFolderIsKnownByItsInode) {
  given_.binds[83] = {.destination = "/link/m", .file = {.mount = 83, .device = 7, .inode = 8}};
  for (const char* root : {"/srv.old", "/srv//deleted"}) {
    std::string now = without("83", std::string("83 80 254:0 ") + root + " /m ro - ext4 /dev/vda rw\n");
    file_ = FileIdentity{.mount = 83, .device = 7, .inode = 8};
    EXPECT_THAT(tell(now), IsEmpty()) << root;
    EXPECT_EQ(destinations_["/m"], "/link/m");
    file_ = FileIdentity{.mount = 83, .device = 7, .inode = 9};
    EXPECT_THAT(tell(now), ElementsAre("+/m"));
    file_.reset();
    EXPECT_THAT(tell(now), ElementsAre("+/m"));
  }
}

TEST_F(GivenMounts, WhatShowsNoMoreIsNoMore) {
  EXPECT_THAT(tell(kStart + std::string("99 80 254:0 /srv/x /elsewhere ro - ext4 /dev/vda rw\n")), IsEmpty());
  EXPECT_THAT(tell(kStart + std::string("99 80 254:0 /srv/x /elsewhere rw - ext4 /dev/vda rw\n")), ElementsAre("+/elsewhere"));
  EXPECT_THAT(tell(kStart + std::string("99 80 254:0 /srv2 /elsewhere ro - ext4 /dev/vda rw\n")), ElementsAre("+/elsewhere"));
  EXPECT_THAT(tell(kStart + std::string("99 80 0:78 /keys /elsewhere ro - proc proc rw\n")), ElementsAre("+/elsewhere"))
      << "the kernel's files have masks";
}

TEST_F(GivenMounts, WhatComesByPropagationIsGiven) {
  std::string host = std::string(kHost) + "99 25 8:2 / /data/usb rw shared:2 - vfat /dev/sdc rw\n";
  EXPECT_THAT(tell(kStart + std::string("98 87 8:2 / /slave/usb rw master:2 - vfat /dev/sdc rw\n"), host.c_str()), IsEmpty());
  EXPECT_THAT(tell(kStart + std::string("98 87 8:2 / /slave/other rw master:2 - vfat /dev/sdc rw\n"), host.c_str()),
              ElementsAre("+/slave/other"));
  EXPECT_THAT(tell(kStart + std::string("98 83 8:2 / /m/usb rw - vfat /dev/sdc rw\n"), host.c_str()), ElementsAre("+/m/usb"));
}

TEST_F(GivenMounts, WhatWasReadOnlyAndIsNot) {
  EXPECT_THAT(tell(without("83", "83 80 254:0 /srv /m rw - ext4 /dev/vda rw\n")), ElementsAre("rw/m"));
  EXPECT_THAT(tell(without("84", "84 81 0:78 /sys /proc/sys rw - proc proc rw\n")), ElementsAre("rw/proc/sys"));
}

TEST_F(GivenMounts, MasksThatAreGone) {
  EXPECT_THAT(tell(without("85")), ElementsAre("-/proc/keys"));
  EXPECT_THAT(tell(without("86")), ElementsAre("-/sys/firmware"));
  EXPECT_THAT(tell(without("84")), ElementsAre("-/proc/sys"));
  EXPECT_THAT(tell(without("83")), IsEmpty()) << "the container's own folder";
  // A second procfs over the first.
  EXPECT_THAT(tell(kStart + std::string("99 81 0:90 / /proc rw - proc proc rw\n")),
              ElementsAre("+/proc", "-/proc/sys", "-/proc/keys"));
  // Hidden by something of the container's own it is still hidden.
  EXPECT_THAT(tell(kStart + std::string("99 85 0:91 / /proc/keys rw - tmpfs tmpfs rw\n")), ElementsAre("+/proc/keys"));
}

TEST_F(GivenMounts, WhoeverHasAnotherRootCanNotBeCompared) {
  EXPECT_THAT(tell("81 80 0:78 / /x/proc rw - proc proc rw\n"), ElementsAre("+/x/proc"));
  EXPECT_FALSE(comparable_);
  given_.mountinfo.clear();
  tell(kStart);
  EXPECT_FALSE(comparable_);
}

TEST(MountTree, TheWalkArrivesAtTheTopmost) {
  auto entries = parse_mountinfo(
      "1 1 0:1 / / rw - rootfs none rw\n2 1 0:2 / / rw - ext4 x rw\n3 2 0:3 / /a rw - ext4 x rw\n"
      "4 3 0:4 / /a rw - ext4 x rw\n5 3 0:5 / /a/b rw - ext4 x rw\n",
      SIZE_MAX);
  MountTree tree(entries);
  EXPECT_EQ(tree.at("/")->id, 2U);
  EXPECT_EQ(tree.at("/x/y")->id, 2U);
  EXPECT_EQ(tree.at("/a")->id, 4U);
  EXPECT_EQ(tree.at("/a/b/c")->id, 4U) << "hidden with what it stands on";
  EXPECT_EQ(tree.at("/ab")->id, 2U);
  EXPECT_EQ(MountTree({}).at("/"), nullptr);
}

TEST(OwnMounts, AreRememberedAndKnownAgain) {
  auto given = remember_mounts(::getpid(), {"/proc", "/nowhere"});
  ASSERT_EQ(given.binds.size(), 1U);
  EXPECT_EQ(given.binds.begin()->second.destination, "/proc");
  auto again = identity_without_asking(::getpid(), "/proc");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->inode, given.binds.begin()->second.file.inode);
  EXPECT_TRUE(remember_mounts(-1, {}).mountinfo.empty());
}

}  // namespace
}  // namespace bulkhead::facts
