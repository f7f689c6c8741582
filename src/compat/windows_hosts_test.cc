#include "compat/windows_hosts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "compat/windows_text.h"

namespace bulkhead::compat {
namespace {

constexpr WindowsKind kServer = WindowsKind::kServer;
constexpr WindowsKind kClient = WindowsKind::kClient;

// Columns of the tables below: images that were published.
constexpr uint32_t kImages[] = {14393, 16299, 17134, 17763, 18362, 18363, 19041, 19042, 20348, 26100};

/// One host against every image, as Microsoft's tables have it: P process and hyperv, H hyperv only, - neither, = process only
/// with the image's revision.
struct Row {
  WindowsKind kind;
  uint32_t host;
  const char* cells;
};

constexpr Row kRows[] = {
    //               2016, 1709, 1803, 2019, 1903, 1909, 2004, 20H2, 2022, 2025
    {kServer, 14393, "=---------"}, {kServer, 16299, "HP--------"}, {kServer, 17134, "HHP-------"},
    {kServer, 17763, "HHHP------"}, {kServer, 18362, "HHHHP-----"}, {kServer, 18363, "HHHHHP----"},
    {kServer, 19041, "HHHHHHP---"}, {kServer, 19042, "HHHHHHHP--"}, {kServer, 20348, "HHHHHHHHP-"},
    {kServer, 25398, "HHHHHHHHP-"}, {kServer, 26100, "HHHHHHHHPP"}, {kClient, 14393, "H---------"},
    {kClient, 15063, "H---------"}, {kClient, 16299, "HH--------"}, {kClient, 17134, "HHH-------"},
    {kClient, 17763, "HHHH------"}, {kClient, 18362, "HHHHH-----"}, {kClient, 18363, "HHHHHH----"},
    {kClient, 19041, "HHHHHHP---"}, {kClient, 19042, "HHHHHHHP--"}, {kClient, 19045, "HHHHHHHH--"},
    {kClient, 22000, "HHHHHHHHP-"}, {kClient, 22621, "HHHHHHHHP-"}, {kClient, 22631, "HHHHHHHHP-"},
    {kClient, 26100, "HHHHHHHHPP"}, {kClient, 26200, "HHHHHHHHPP"},
};

char cell(const Verdict& verdict) {
  switch (verdict.process) {
    case Answer::kRuns: return verdict.hyperv == Answer::kRuns ? 'P' : '?';
    case Answer::kRunsWithEqualRevision: return verdict.hyperv == Answer::kRuns ? '=' : '?';
    case Answer::kRefused: return verdict.hyperv == Answer::kRuns ? 'H' : '-';
  }
  return '?';
}

class EveryCell : public testing::TestWithParam<Row> {};

TEST_P(EveryCell, IsAsMicrosoftSays) {
  std::string cells;
  for (uint32_t image : kImages) {
    Verdict verdict = judge({.build = image, .revision = 1000}, GetParam().kind, {.build = GetParam().host, .revision = {}});
    cells += cell(verdict);
    EXPECT_FALSE(verdict.source.empty());
  }
  EXPECT_EQ(cells, GetParam().cells);
}

INSTANTIATE_TEST_SUITE_P(WindowsHosts, EveryCell, testing::ValuesIn(kRows), [](const auto& row) {
  return fmt::format("{}{}", row.param.kind == kServer ? "Server" : "Client", row.param.host);
});

TEST(WindowsHostsTest, EveryReleaseHasARow) {
  ASSERT_EQ(windows_releases().size(), std::size(kRows));
  for (size_t i = 0; i < std::size(kRows); ++i) {
    EXPECT_EQ(windows_releases()[i].kind, kRows[i].kind) << i;
    EXPECT_EQ(windows_releases()[i].build, kRows[i].host) << i;
  }
}

TEST(WindowsHostsTest, RevisionCountsOnServer2016Only) {
  WindowsVersion image{.build = 14393, .revision = 1770};
  EXPECT_EQ(judge(image, kServer, {.build = 14393, .revision = 1770}).process, Answer::kRuns);
  EXPECT_EQ(judge(image, kServer, {.build = 14393, .revision = 1944}).process, Answer::kRefused);
  EXPECT_EQ(judge(image, kServer, {.build = 14393, .revision = 1944}).hyperv, Answer::kRuns);
  EXPECT_EQ(judge({.build = 17763, .revision = 1}, kServer, {.build = 17763, .revision = 2}).process, Answer::kRuns);
}

TEST(WindowsHostsTest, ReleasesAfterTheTablesFollowTheRule) {
  Verdict newer = judge({.build = 26100, .revision = {}}, kServer, {.build = 29000, .revision = {}});
  EXPECT_EQ(newer.process, Answer::kRuns);
  EXPECT_NE(newer.note.find("newer than"), std::string_view::npos);
  EXPECT_EQ(judge({.build = 20348, .revision = {}}, kServer, {.build = 29000, .revision = {}}).process, Answer::kRefused);
  EXPECT_EQ(judge({.build = 30000, .revision = {}}, kServer, {.build = 29000, .revision = {}}).hyperv, Answer::kRefused);
}

TEST(WindowsHostsTest, OlderThanContainersIsRefused) {
  for (WindowsVersion host : {WindowsVersion{.build = 10586, .revision = {}}, WindowsVersion{6, 3, 9600, {}}}) {
    Verdict verdict = judge({.build = 14393, .revision = {}}, kServer, host);
    EXPECT_EQ(cell(verdict), '-');
    EXPECT_FALSE(verdict.note.empty());
  }
}

TEST(WindowsVersionTest, IsReadInEveryForm) {
  EXPECT_EQ(parse_windows_version("10.0.14393.1770"), (WindowsVersion{10, 0, 14393, 1770}));
  EXPECT_EQ(parse_windows_version("10.0.20348"), (WindowsVersion{10, 0, 20348, {}}));
  EXPECT_EQ(parse_windows_version("20348"), (WindowsVersion{10, 0, 20348, {}}));
  EXPECT_EQ(parse_windows_version("14393.1770"), (WindowsVersion{10, 0, 14393, 1770}));
  for (const char* bad : {"", ".", "10.", "10.0.", "x", "10.0.1.2.3", "-1", "99999999999", "10.0.20348 ", " 1"}) {
    EXPECT_FALSE(parse_windows_version(bad)) << bad;
  }
}

TEST(WindowsTextTest, AHostNamesEveryReleaseOfItsBuild) {
  WindowsVersion image{.build = 20348, .revision = {}};
  EXPECT_EQ(windows_lines(image, std::nullopt).size(), windows_releases().size());
  auto both = windows_lines(image, parse_windows_version("26100"));
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(both[0].host, "Windows Server 2025");
  EXPECT_EQ(both[1].host, "Windows 11, version 24H2");
  auto unnamed = windows_lines(image, parse_windows_version("27000"));
  ASSERT_EQ(unnamed.size(), 2U);
  EXPECT_EQ(unnamed[0].verdict.process, Answer::kRefused);
  EXPECT_EQ(unnamed[1].verdict.process, Answer::kRuns);
}

TEST(WindowsTextTest, TheRefusalSaysWhereItRuns) {
  std::string text = refuse_windows_image("servercore:1", "10.0.20348.2700");
  for (const char* part :
       {"The operating system of the container does not match the operating system of the host. (0xc0370101)", "servercore:1",
        "10.0.20348.2700", "Windows Server 2022", "Windows Server 2025", "build 20348", "bulkhead compat"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
  EXPECT_NE(refuse_windows_image("x", "").find("unnamed version"), std::string::npos);
  EXPECT_NE(refuse_windows_image("x", "banana").find("banana"), std::string::npos);
  EXPECT_NE(refuse_windows_image("x", "10.0.14393.1770").find("of the same revision"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::compat
