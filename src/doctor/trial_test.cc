#include "doctor/trial.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "support/error.h"

namespace bulkhead::doctor {
namespace {

using std::chrono::milliseconds;

std::string why(const std::function<void()>& attempt, milliseconds limit = kTrialLimit) {
  auto failure = try_in_child(attempt, limit);
  return failure ? failure->why : "(it worked)";
}

TEST(TrialTest, SaysHowItWent) {
  EXPECT_FALSE(try_in_child([] {}));
  auto thrown = try_in_child([] { throw Error(ErrorCode::kNotSupported, "no such thing"); });
  ASSERT_TRUE(thrown);
  EXPECT_EQ(thrown->why, "no such thing");
  EXPECT_EQ(thrown->code, ErrorCode::kNotSupported);
  EXPECT_EQ(why([] { ::kill(::getpid(), SIGKILL); }), "killed by signal 9");
  EXPECT_EQ(why([] { throw std::runtime_error("bad"); }), "bad");
}

TEST(TrialTest, MissingRightsHaveARemedyOfTheirOwn) {
  EXPECT_EQ(remedy_of(try_in_child([] {}), "modprobe it"), "");
  EXPECT_EQ(remedy_of(try_in_child([] { throw system_error("try", ENODEV); }), "modprobe it"), "modprobe it");
  EXPECT_EQ(remedy_of(try_in_child([] { throw system_error("try", EPERM); }), "modprobe it"), rights_remedy());
}

TEST(TrialTest, AHangingChildIsEnded) {
  EXPECT_EQ(why([] { ::pause(); }, milliseconds(50)), "it took longer than 50 ms");
}

TEST(TrialTest, RunsPrograms) {
  ProgramResult result = run_program({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.output, "out\nerr\n");
  EXPECT_EQ(run_program({"/nonexistent"}).code, 127);
  EXPECT_EQ(run_program({"/bin/sh", "-c", "exec sleep 100"}, milliseconds(50)).code, -1);
  EXPECT_LE(run_program({"/bin/sh", "-c", "yes | head -c 1000000"}).output.size(), 64UL << 10);
}

TEST(TrialTest, FindsTheFirstProgram) {
  EXPECT_EQ(find_program({"/nonexistent", "/bin/sh", "/bin/ls"}), "/bin/sh");
  EXPECT_EQ(find_program({"/nonexistent", "/etc/passwd"}), "");
}

}  // namespace
}  // namespace bulkhead::doctor
