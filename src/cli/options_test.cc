#include "cli/options.h"

#include <gmock/gmock.h>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Given {
  bool interactive = false, tty = false, remove = false;
  std::optional<bool> init;
  std::string name = "unset";
  std::optional<std::string> entrypoint;
  std::optional<int64_t> pids;
  std::vector<std::string> env;
  std::vector<std::string> arguments;
};

Given parse_run(std::vector<std::string> words, Order order = Order::kBeforeArguments) {
  Given run;
  Options options("run", "[OPTIONS] IMAGE [COMMAND]", "Runs.", order);
  options.flag("-i,--interactive", run.interactive, "");
  options.flag("-t,--tty", run.tty, "");
  options.flag("--rm", run.remove, "");
  options.flag("--init", run.init, "");
  options.value("--name", run.name, "");
  options.value("--entrypoint", run.entrypoint, "");
  options.number("--pids-limit", run.pids, "");
  options.list("-e,--env", run.env, "");
  EXPECT_EQ(options.parse(std::move(words)), Parsed::kRun);
  run.arguments = options.arguments();
  return run;
}

std::string failure(std::vector<std::string> words, Order order = Order::kBeforeArguments) {
  try {
    parse_run(std::move(words), order);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.message();
  }
  return "no error";
}

TEST(Options, LeavesTheCommandAlone) {
  Given run = parse_run({"-it", "--rm", "image", "ls", "-i", "--rm=false", "--name=", "--", "-x"});
  EXPECT_TRUE(run.interactive && run.tty && run.remove);
  EXPECT_THAT(run.arguments, ElementsAre("image", "ls", "-i", "--rm=false", "--name=", "--", "-x"));
  EXPECT_EQ(run.name, "unset");
}

TEST(Options, TakesEveryWayOfWritingAValue) {
  Given run = parse_run({"-eA=1", "-e", "B=2", "--env=C=3", "--env", "D", "-ite", "E= x", "--pids-limit", "-1", "image"});
  EXPECT_THAT(run.env, ElementsAre("A=1", "B=2", "C=3", "D", "E= x"));
  EXPECT_EQ(run.pids, -1);
  EXPECT_THAT(run.arguments, ElementsAre("image"));
}

TEST(Options, AcceptsValuesThatLookLikeOptions) {
  EXPECT_THAT(parse_run({"-e", "-x", "--name", "--rm", "image"}).env, ElementsAre("-x"));
  EXPECT_EQ(parse_run({"-e", "-x", "--name", "--rm", "image"}).name, "--rm");
}

TEST(Options, KeepsEmptyValues) {
  EXPECT_EQ(parse_run({"--entrypoint=", "image"}).entrypoint, "");
  EXPECT_EQ(parse_run({"--entrypoint", "", "image"}).entrypoint, "");
  EXPECT_EQ(parse_run({"image"}).entrypoint, std::nullopt);
  EXPECT_THAT(parse_run({"image", "", "x"}).arguments, ElementsAre("image", "", "x"));
}

TEST(Options, LastValueWins) {
  Given run = parse_run({"--name", "a", "--name=b", "--rm", "--rm=false", "--init=false", "image"});
  EXPECT_EQ(run.name, "b");
  EXPECT_FALSE(run.remove);
  EXPECT_EQ(run.init, false);
}

TEST(Options, FindsOptionsAfterArgumentsWhereTheyBelongToTheVerb) {
  Given run = parse_run({"a", "--rm", "b", "--", "-c"}, Order::kAnywhere);
  EXPECT_TRUE(run.remove);
  EXPECT_THAT(run.arguments, ElementsAre("a", "b", "-c"));
}

TEST(Options, ADashIsAnArgument) { EXPECT_THAT(parse_run({"-", "x"}, Order::kAnywhere).arguments, ElementsAre("-", "x")); }

TEST(Options, NamesWhatItDoesNotKnow) {
  EXPECT_THAT(failure({"--bogus=1", "image"}), HasSubstr("unknown option: --bogus; see 'bulkhead run --help'"));
  EXPECT_THAT(failure({"-Z", "image"}), HasSubstr("-Z"));
  EXPECT_THAT(failure({"image", "--bogus"}, Order::kAnywhere), HasSubstr("--bogus"));
  EXPECT_THAT(failure({"--pids-limit", "many", "image"}), HasSubstr("--pids-limit"));
  EXPECT_THAT(failure({"--rm=perhaps", "image"}), HasSubstr("--rm"));
  EXPECT_THAT(failure({"--name"}), HasSubstr("--name"));
}

}  // namespace
}  // namespace bulkhead::cli
