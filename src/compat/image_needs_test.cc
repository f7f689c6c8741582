#include "compat/image_needs.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::compat {
namespace {

const KernelFacts kHost{
    .name = "this host", .release = "6.18.44-cloud", .version = {}, .architecture = "amd64", .emulated = {}};

TEST(ImageNeedsTest, AnImageThatSaysNothingFits) {
  EXPECT_FALSE(mismatch(needs_of({}), kHost));
  EXPECT_FALSE(mismatch(needs_of({.architecture = "amd64"}), kHost));
  EXPECT_FALSE(mismatch(needs_of({.architecture = "386"}), kHost));
}

TEST(ImageNeedsTest, BothVersionsAreNamed) {
  auto why = mismatch(needs_of({.labels = {{kKernelLabel, ">=7 <8"}}}), kHost);
  ASSERT_TRUE(why);
  for (const char* part : {">=7 <8", "label org.bulkhead.kernel", "6.18.44-cloud", "this host"}) {
    EXPECT_NE(why->find(part), std::string::npos) << part << " in " << *why;
  }
}

TEST(ImageNeedsTest, TheVersionCountsBeforeTheRelease) {
  KernelFacts debian = kHost;
  debian.release = "6.1.0-56-cloud-amd64";
  EXPECT_TRUE(mismatch(needs_of({.labels = {{kKernelLabel, ">=6.1.100"}}}), debian));
  debian.version = "6.1.192";
  EXPECT_FALSE(mismatch(needs_of({.labels = {{kKernelLabel, ">=6.1.100"}}}), debian));
  auto why = mismatch(needs_of({.labels = {{kKernelLabel, "6.1.0"}}}), debian);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("6.1.0-56-cloud-amd64 (6.1.192)"), std::string::npos) << *why;
}

TEST(ImageNeedsTest, TheLabelCountsBeforeTheVersion) {
  EXPECT_TRUE(mismatch(needs_of({.os_version = "7.1"}), kHost));
  EXPECT_FALSE(mismatch(needs_of({.os_version = "7.1", .labels = {{kKernelLabel, "any"}}}), kHost));
  EXPECT_FALSE(mismatch(needs_of({.os_version = "5.15"}), kHost));
  // A distribution's version, or no version at all.
  EXPECT_FALSE(mismatch(needs_of({.os_version = "12"}), kHost));
  EXPECT_FALSE(mismatch(needs_of({.os_version = "bookworm"}), kHost));
}

TEST(ImageNeedsTest, TheLibraryCountsWhateverTheLabelSays) {
  ImageFacts facts{.labels = {{kKernelLabel, "any"}},
                   .library = KernelNeed{.range = KernelRange::at_least({99, 0, 0}), .source = "/lib64/libc.so.6"}};
  auto why = mismatch(needs_of(facts), kHost);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("/lib64/libc.so.6"), std::string::npos);
}

TEST(ImageNeedsTest, ArchitecturesFitOrAreEmulated) {
  auto why = mismatch(needs_of({.architecture = "arm64"}), kHost);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("arm64"), std::string::npos);
  KernelFacts with_binfmt = kHost;
  with_binfmt.emulated = {"arm64"};
  EXPECT_FALSE(mismatch(needs_of({.architecture = "arm64"}), with_binfmt));
  EXPECT_TRUE(mismatch(needs_of({.architecture = "riscv64"}), with_binfmt));
}

TEST(ImageNeedsTest, UnknownFeaturesAreNowhere) {
  auto why = mismatch(needs_of({.os_features = {"win\033[2J32k"}}), kHost);
  ASSERT_TRUE(why);
  EXPECT_EQ(why->find('\033'), std::string::npos);
  EXPECT_NE(why->find("os.features"), std::string::npos);
}

TEST(ImageNeedsTest, ALabelThatIsNoRangeIsAnError) {
  EXPECT_THROW(needs_of({.labels = {{kKernelLabel, "the newest"}}}), Error);
  EXPECT_FALSE(mismatch(needs_of({.labels = {{kKernelLabel, ""}}}), kHost));
}

}  // namespace
}  // namespace bulkhead::compat
