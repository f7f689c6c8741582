#include "facts/limits.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "facts/facts.pb.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::facts {
namespace {

class Limits : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "limits-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    top_ = name;
    make_folders(group());
  }
  void TearDown() override { remove_folder(top_); }

  std::filesystem::path group() const { return top_ / "parent" / "own"; }
  static void write(const std::filesystem::path& file, const char* text) { std::ofstream(file) << text << '\n'; }

  const Limit& find(const char* name) {
    wall_.Clear();
    read_limits({{.folder = group(), .top = top_}}, wall_);
    for (const Limit& limit : wall_.limits()) {
      if (limit.name() == name) {
        return limit;
      }
    }
    throw Error(ErrorCode::kNotFound, name);
  }

  std::filesystem::path top_;
  Wall wall_;
};

TEST_F(Limits, AreReadFromV1) {
  write(group() / "memory.limit_in_bytes", "67108864");
  write(group() / "memory.memsw.limit_in_bytes", "9223372036854771712");
  write(group() / "cpu.cfs_quota_us", "-1");
  write(group() / "cpuset.effective_cpus", "0-1");
  EXPECT_EQ(find("memory").number(), 64 << 20);
  EXPECT_EQ(find("memory+swap").number(), -1);
  EXPECT_EQ(find("cpu-quota").number(), -1);
  EXPECT_EQ(find("cpus").text(), "0-1");
  EXPECT_THROW(find("pids"), Error);
}

TEST_F(Limits, AreReadFromV2) {
  write(group() / "memory.max", "max");
  write(group() / "pids.max", "100");
  write(group() / "cpu.max", "50000 100000");
  EXPECT_EQ(find("memory").number(), -1);
  EXPECT_EQ(find("pids").number(), 100);
  EXPECT_EQ(find("cpu-quota").number(), 50000);
  EXPECT_EQ(find("cpu-period").number(), 100000);
}

TEST_F(Limits, OfSharesAreReadToo) {
  write(group() / "memory.soft_limit_in_bytes", "4096");
  write(group() / "io.weight", "default 250\n8:0 7");
  EXPECT_EQ(find("memory-reservation").number(), 4096);
  EXPECT_EQ(find("io-weight").number(), 250);
}

TEST_F(Limits, AGroupAboveThatSetsLessIsInForce) {
  write(group() / "pids.max", "100");
  write(top_ / "parent" / "pids.max", "7");
  write(top_ / "pids.max", "max");
  EXPECT_EQ(find("pids").number(), 7);
  EXPECT_EQ(find("pids").file(), (top_ / "parent" / "pids.max").native());
}

TEST_F(Limits, ATextThatIsNoLimitIsAnError) {
  EXPECT_THROW(parse_limit(""), Error);
  EXPECT_THROW(parse_limit("7x"), Error);
  EXPECT_EQ(parse_limit("0"), 0);
}

TEST(CgroupFile, SaysWhereAProcessIs) {
  auto places = parse_cgroup_file("9:name=systemd:/\n4:cpu,cpuacct:/b/1\n0::/b/1:x\nnonsense\n:\n");
  ASSERT_EQ(places.size(), 3U);
  EXPECT_EQ(places[0].controllers, std::vector<std::string>{"name=systemd"});
  EXPECT_EQ(places[1].controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
  EXPECT_TRUE(places[2].controllers.empty());
  EXPECT_EQ(places[2].path, "/b/1:x");
}

}  // namespace
}  // namespace bulkhead::facts
