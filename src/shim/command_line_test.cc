#include "shim/command_line.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::shim {
namespace {

TEST(CommandLine, TakesWhatContainerdPasses) {
  CommandLine line = parse_command_line({"-namespace", "k8s.io", "-address", "/run/containerd/containerd.sock",
                                         "-publish-binary", "/usr/bin/containerd", "-id", "abc", "-debug", "start"});
  EXPECT_EQ(line.action, "start");
  EXPECT_EQ(line.id, "abc");
  EXPECT_EQ(line.name_space, "k8s.io");
  EXPECT_TRUE(line.debug);
  EXPECT_EQ(parse_command_line({"--id=abc", "--bundle=/x", "delete"}).bundle, "/x");
  EXPECT_TRUE(parse_command_line({"-v"}).version);
}

TEST(CommandLine, RefusesTheRest) {
  using Arguments = std::vector<std::string>;
  for (const Arguments& arguments :
       {Arguments{}, Arguments{"start"}, Arguments{"-id", "a/b", "start"}, Arguments{"-id", "..", "start"}, Arguments{"-id"},
        Arguments{"-id", "a", "stop"}, Arguments{"-id", "a", "start", "delete"},
        Arguments{"-colour", "x", "-id", "a", "start"}}) {
    EXPECT_THROW(parse_command_line(arguments), Error);
  }
}

}  // namespace
}  // namespace bulkhead::shim
