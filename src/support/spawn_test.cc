#include "support/spawn.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"

namespace bulkhead {
namespace {

/// What a shell's command says, started as `request` has it.
std::string output_of(const char* script, SpawnRequest request = {}) {
  Pipe out;
  request.program = "sh";
  request.arguments = {"sh", "-c", script};
  request.out = out.write.get();
  pid_t pid = spawn(request);
  out.write.reset();
  std::string text = read_all(out.read.get());
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0) << text;
  return text;
}

TEST(Spawn, NothingOfOurEnvironmentIsPassedOn) {
  ASSERT_EQ(::setenv("BULKHEAD_SECRET", "told", 1), 0);
  EXPECT_EQ(output_of("echo \"$BULKHEAD_SECRET $PATH\""), " /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
  EXPECT_EQ(output_of("echo \"$BULKHEAD_SECRET\"", {.environment = SpawnRequest::Environment::kCallers}), "told\n");
}

TEST(Spawn, StreamsThatAreNotGivenAreNull) {
  EXPECT_EQ(output_of("readlink /proc/self/fd/0 /proc/$$/fd/2"), "/dev/null\n/dev/null\n");
}

TEST(Spawn, DescriptorsThatOthersLeftOpenCanBeClosed) {
  Pipe left_open;
  UniqueFd high(::fcntl(left_open.read.get(), F_DUPFD, 100));
  std::string script = "test -e /proc/$$/fd/" + std::to_string(high.get()) + " && echo open || echo closed";
  EXPECT_EQ(output_of(script.c_str()), "open\n");
  EXPECT_EQ(output_of(script.c_str(), {.descriptors = SpawnRequest::Descriptors::kStreamsAlone}), "closed\n");
}

TEST(Spawn, FolderSessionAndSignals) {
  EXPECT_EQ(output_of("pwd", {.folder = "/usr"}), "/usr\n");
  std::string ours = std::to_string(::getsid(0)) + "\n";
  EXPECT_EQ(output_of("cut -d' ' -f6 /proc/$$/stat"), ours);
  EXPECT_NE(output_of("cut -d' ' -f6 /proc/$$/stat", {.session = SpawnRequest::Session::kOwn}), ours);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &blocked, &before), 0);
  EXPECT_EQ(output_of("grep SigBlk /proc/self/status"), "SigBlk:\t0000000000000000\n");
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST(Spawn, AProgramThatIsMissingIsNamed) {
  try {
    spawn({.program = "/no/such/program", .arguments = {"program"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.message(), testing::HasSubstr("run 'program'"));
  }
}

}  // namespace
}  // namespace bulkhead
