#include "facts/bounds.h"

#include <gtest/gtest.h>

#include <string>

#include "facts/facts.pb.h"

namespace bulkhead::facts {
namespace {

TEST(Bounds, CutWhatAGuestMakesLong) {
  Wall wall;
  for (int i = 0; i < 1000; ++i) {
    wall.add_processes()->set_command(std::string(5000, 'x'));
    wall.add_paths()->set_inside(std::string(5000, 'x'));
    wall.add_gaps()->set_why(std::string(5000, 'x'));
    wall.add_system()->set_command("x");
  }
  bound(wall);
  EXPECT_LE(wall.ByteSizeLong(), 300U << 10);
  EXPECT_EQ(wall.processes(0).command().size(), 512U);
  EXPECT_EQ(wall.system_size(), 1);
}

TEST(Bounds, AnAnswerIsMadeToFit) {
  Wall wall;
  for (int i = 0; i < 100; ++i) {
    wall.add_chains()->add_programs(std::string(4000, 'x'));
    wall.add_processes()->set_command(std::string(1000, 'x'));
  }
  fit(wall, 50'000);
  EXPECT_LE(wall.ByteSizeLong(), 50'000U);
  EXPECT_EQ(static_cast<uint32_t>(wall.processes_size()) + wall.more_processes(), 100U);
  EXPECT_EQ(wall.gaps_size(), 1);
  Wall small;
  small.add_chains()->add_programs("x");
  fit(small, 50'000);
  EXPECT_EQ(small.chains(0).programs_size(), 1);
  EXPECT_TRUE(small.gaps().empty());
}

TEST(Bounds, AGuestDoesNotSpeakForTheHost) {
  Wall wall;
  wall.set_accelerator("kvm");
  wall.mutable_inside()->mutable_kernel()->set_release("mine");
  wall.add_processes()->set_role(ROLE_SHIM);
  wall.add_system()->set_role(ROLE_MACHINE);
  wall.add_open_files()->set_kind("x");
  wall.add_chains()->add_reach()->set_open(0);
  bound(wall);
  EXPECT_TRUE(wall.accelerator().empty());
  EXPECT_FALSE(wall.has_inside());
  EXPECT_EQ(wall.processes(0).role(), ROLE_OTHER);
  EXPECT_EQ(wall.system(0).role(), ROLE_AGENT);
  EXPECT_TRUE(wall.open_files().empty());
  EXPECT_TRUE(wall.chains(0).reach().empty());
}

}  // namespace
}  // namespace bulkhead::facts
