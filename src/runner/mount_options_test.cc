#include "runner/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include "support/error.h"

namespace bulkhead::runner {

TEST(MountOptions, SortsWords) {
  MountOptions options = parse_mount_options({"rbind", "ro", "nosuid", "rslave", "rnoexec", "size=64k", "newinstance"});
  EXPECT_TRUE(options.bind && options.recursive_bind);
  EXPECT_EQ(options.set, static_cast<uint64_t>(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
  EXPECT_EQ(options.recursive_set, static_cast<uint64_t>(MOUNT_ATTR_NOEXEC));
  EXPECT_EQ(options.propagation, static_cast<uint64_t>(MS_SLAVE));
  ASSERT_EQ(options.data.size(), 2U);
  EXPECT_EQ(*options.data[0].second, "64k");
  EXPECT_FALSE(options.data[1].second);
}

TEST(MountOptions, TheLastWordWins) {
  EXPECT_EQ(parse_mount_options({"ro", "rw"}).set, 0U);
  EXPECT_EQ(parse_mount_options({"nodev", "dev"}).set, 0U);
  EXPECT_EQ(parse_mount_options({"dev", "nodev"}).clear, 0U);
  EXPECT_EQ(parse_mount_options({"noatime", "relatime"}).set, static_cast<uint64_t>(MOUNT_ATTR_RELATIME));
}

TEST(MountOptions, ARecursiveWordCoversTheTree) {
  EXPECT_EQ(parse_mount_options({"rro"}).recursive_set, static_cast<uint64_t>(MOUNT_ATTR_RDONLY));
  EXPECT_EQ(parse_mount_options({"rro"}).set, 0U);
}

TEST(MountOptions, RefusesWhatItCannotDo) {
  EXPECT_THROW(parse_mount_options({"remount"}), Error);
  EXPECT_THROW(parse_mount_options({"idmap"}), Error);
  EXPECT_THROW(classic_mount_options({"lowerdir=" + std::string(5000, 'x')}), Error);
}

TEST(MountOptions, Classic) {
  auto [flags, data] = classic_mount_options({"ro", "lowerdir=/a:/b", "rbind", "index=off"});
  EXPECT_EQ(flags, static_cast<unsigned long>(MS_RDONLY | MS_BIND | MS_REC));
  EXPECT_EQ(data, "lowerdir=/a:/b,index=off");
}

}  // namespace bulkhead::runner
