#include "compat/kernel_version.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::compat {
namespace {

TEST(KernelVersionTest, IsWhatAReleaseBeginsWith) {
  EXPECT_EQ(parse_kernel_version("6.12.57+deb12-cloud-amd64"), (KernelVersion{6, 12, 57}));
  EXPECT_EQ(parse_kernel_version("6.1.0-41-cloud-amd64"), (KernelVersion{6, 1, 0}));
  EXPECT_EQ(parse_kernel_version("6.18-rc1"), (KernelVersion{6, 18, 0}));
  EXPECT_EQ(parse_kernel_version("4"), (KernelVersion{4, 0, 0}));
  EXPECT_EQ(parse_kernel_version("6.1.2.3"), (KernelVersion{6, 1, 2}));
  for (const char* bad : {"", "v6", ".6", "-1", "99999999999.1"}) {
    EXPECT_FALSE(parse_kernel_version(bad)) << bad;
  }
}

TEST(KernelVersionTest, DebiansBuildSaysWhatItsReleaseDoesNot) {
  constexpr const char* kRelease = "6.1.0-56-cloud-amd64";
  EXPECT_EQ(version_of_build(kRelease, "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"), "6.1.192");
  EXPECT_EQ(version_of_build(kRelease, "(gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0) #1 SMP Debian 6.1.192-2 (2026-11-16)"),
            "6.1.192");
  for (const char* other : {"#1 SMP", "", "Debian ", "#1 SMP Debian 6.1", "#1 SMP Debian 6.12.3-1", "#1 SMP Debian 6.1.x-1"}) {
    EXPECT_EQ(version_of_build(kRelease, other), "") << other;
  }
  EXPECT_EQ(version_of_build("6.12.57+deb12-amd64", "#1 SMP Debian 6.12.57-1~bpo12+1 (2026-11-16)"), "")
      << "the release says it";
  EXPECT_EQ(version_of_build("mine", "#1 SMP Debian 6.1.192-2"), "");
}

struct Case {
  const char* range;
  KernelVersion version;
  bool holds;
};

class EveryRange : public testing::TestWithParam<Case> {};

TEST_P(EveryRange, Holds) {
  EXPECT_EQ(KernelRange::parse(GetParam().range).holds(GetParam().version), GetParam().holds)
      << GetParam().range << " " << to_string(GetParam().version);
}

const Case kCases[] = {
    {">=5.15 <7", {5, 15, 0}, true}, {">=5.15 <7", {6, 18, 44}, true}, {">=5.15 <7", {5, 14, 99}, false},
    {">=5.15 <7", {7, 0, 0}, false}, {">=5.15,<7", {6, 0, 0}, true},   {"6.1", {6, 1, 0}, true},
    {"6.1", {6, 1, 158}, true},      {"6.1", {6, 2, 0}, false},        {"6.1", {6, 0, 19}, false},
    {"6", {6, 99, 0}, true},         {"6", {7, 0, 0}, false},          {"6.1.5", {6, 1, 5}, true},
    {"6.1.5", {6, 1, 6}, false},     {"=6.1", {6, 1, 3}, true},        {"<=6.1", {6, 1, 158}, true},
    {"<=6.1", {6, 2, 0}, false},     {">6.1", {6, 1, 158}, false},     {">6.1", {6, 2, 0}, true},
    {"<6.1", {6, 1, 0}, false},      {"<6.1", {6, 0, 99}, true},       {"any", {1, 0, 0}, true},
    {" >=4.4\t", {4, 4, 0}, true},   {">=6 <5", {5, 5, 0}, false},
};
INSTANTIATE_TEST_SUITE_P(KernelRange, EveryRange, testing::ValuesIn(kCases));

TEST(KernelRangeTest, RefusesWhatIsNone) {
  for (const std::string& bad :
       {std::string(), std::string(" "), std::string("latest"), std::string(">="), std::string("=>6"), std::string("6.1-rc1"),
        std::string("6.1.2.3"), std::string(">=5.15 and <7"), std::string("6.x"), std::string("any 6.1"), std::string("<<6"),
        std::string(300, '6'), std::string("\0", 1), std::string("6..1"), std::string("-6")}) {
    EXPECT_THROW(KernelRange::parse(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace bulkhead::compat
