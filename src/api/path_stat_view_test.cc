#include "api/path_stat_view.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "api/credentials.h"

namespace bulkhead::api {
namespace {

nlohmann::json seen_by_client(const archive::PathStat& found) {
  return nlohmann::json::parse(decode_base64(path_stat_header(found)).value());
}

TEST(PathStatView, SaysModesAsGoDoes) {
  EXPECT_EQ(go_file_mode(S_IFREG | 0644), 0644U);
  EXPECT_EQ(go_file_mode(S_IFDIR | 01777), 0x80000000U | 0x100000U | 0777U);
  EXPECT_EQ(go_file_mode(S_IFLNK | 0777), 0x8000000U | 0777U);
  EXPECT_EQ(go_file_mode(S_IFREG | 06755), 0x800000U | 0x400000U | 0755U);
  EXPECT_EQ(go_file_mode(S_IFCHR | 0666), 0x4000000U | 0x200000U | 0666U);
}

TEST(PathStatView, EncodesWhatItDecodes) {
  for (const char* text : {"", "a", "ab", "abc", "abcd", "\xff\xfe\xfd"}) {
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  }
}

TEST(PathStatView, TellsOfAFile) {
  archive::PathStat found{.name = "hosts", .size = 9, .mode = S_IFREG | 0644, .mtime = {}, .link_target = ""};
  found.mtime.tv_sec = 1'700'000'000;
  found.mtime.tv_nsec = 5;
  EXPECT_EQ(seen_by_client(found),
            nlohmann::json::parse(
                R"({"name":"hosts","size":9,"mode":420,"mtime":"2023-11-14T22:13:20.000000005Z","linkTarget":""})"));
}

TEST(PathStatView, AnythingThatAGuestSaysCanBeParsed) {
  archive::PathStat found{
      .name = "\xff", .size = std::numeric_limits<uint64_t>::max(), .mode = ~0U, .mtime = {}, .link_target = "\x80"};
  found.mtime.tv_sec = std::numeric_limits<time_t>::max();
  found.mtime.tv_nsec = -1;
  EXPECT_EQ(seen_by_client(found)["mtime"], "2255-03-14T16:00:00.000000000Z");
  found.mtime.tv_sec = std::numeric_limits<time_t>::min();
  EXPECT_EQ(seen_by_client(found)["mtime"], "1684-10-19T08:00:00.000000000Z");
}

}  // namespace
}  // namespace bulkhead::api
