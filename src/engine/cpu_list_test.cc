#include "engine/cpu_list.h"

#include <gtest/gtest.h>

namespace bulkhead::engine {
namespace {

TEST(CpuList, HasNumbersAndRanges) {
  EXPECT_EQ(parse_cpu_list("0-2,5"), (std::set<int>{0, 1, 2, 5}));
  EXPECT_EQ(parse_cpu_list("5,0-2,1"), parse_cpu_list("0-2,5"));
  EXPECT_EQ(parse_cpu_list("65535"), std::set<int>{65535});
  EXPECT_EQ(parse_cpu_list(""), std::set<int>{});
}

TEST(CpuList, IsNothingElse) {
  for (const char* text : {"x", "0-", "-1", "2-1", "0,,1", " 0", "0 ", "+1", "0-1-2", "65536", "0-65536", "99999999999"}) {
    EXPECT_FALSE(parse_cpu_list(text)) << text;
  }
}

}  // namespace
}  // namespace bulkhead::engine
