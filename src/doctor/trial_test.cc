#include "doctor/trial.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "support/error.h"

namespace bulkhead::doctor {
namespace {

using std::chrono::milliseconds;

TEST(TrialTest, SaysHowItWent) {
  EXPECT_EQ(try_in_child([] {}), std::nullopt);
  EXPECT_EQ(try_in_child([] { throw Error(ErrorCode::kNotSupported, "no such thing"); }), "no such thing");
  EXPECT_EQ(try_in_child([] { ::kill(::getpid(), SIGKILL); }), "killed by signal 9");
}

TEST(TrialTest, AHangingChildIsEnded) {
  EXPECT_EQ(try_in_child([] { ::pause(); }, milliseconds(50)), "it took longer than 50 ms");
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
