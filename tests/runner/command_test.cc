// How a container's command starts and ends, and what is said where it can't.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "container.h"
#include "support/error.h"

namespace bulkhead::test {

using testing::HasSubstr;
using testing::IsEmpty;

namespace {

struct Failure {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

Failure start_failure(Container& container) {
  container.create();
  try {
    container.wall().start();
  } catch (const Error& error) {
    container.destroy();
    EXPECT_THAT(container.leftovers(), IsEmpty());
    return {error.code(), error.message()};
  }
  return {};
}

}  // namespace

TEST(Command, ExitCodes) {
  EXPECT_EQ(Container().run_shell("exit 0").code, 0);
  EXPECT_EQ(Container().run_shell("exit 42").code, 42);
}

TEST(Command, MissingInPath) {
  Container container;
  container.command({"foo", "bar"});
  Failure failure = start_failure(container);
  EXPECT_EQ(failure.code, ErrorCode::kCommandNotFound);
  EXPECT_EQ(failure.message, "exec: \"foo\": executable file not found in $PATH");
}

TEST(Command, MissingAbsolutePath) {
  Container container;
  container.command({"/foo"});
  Failure failure = start_failure(container);
  EXPECT_EQ(failure.code, ErrorCode::kCommandNotFound);
  EXPECT_THAT(failure.message, HasSubstr("stat /foo: no such file or directory"));
}

TEST(Command, NotExecutable) {
  Container container;
  std::ofstream(container.root() / "x") << "text";
  container.command({"/x"});
  Failure failure = start_failure(container);
  EXPECT_EQ(failure.code, ErrorCode::kCannotExecute);
  EXPECT_EQ(failure.message, "exec: \"/x\": permission denied");
}

TEST(Command, AFolder) {
  Container container;
  container.command({"/etc"});
  EXPECT_EQ(start_failure(container).message, "exec: \"/etc\": is a directory");
}

TEST(Command, WrongFormat) {
  Container container;
  std::ofstream(container.root() / "x") << "no program";
  std::filesystem::permissions(container.root() / "x", std::filesystem::perms(0755));
  container.command({"/x"});
  Failure failure = start_failure(container);
  EXPECT_EQ(failure.code, ErrorCode::kCannotExecute);
  EXPECT_EQ(failure.message, "exec /x: exec format error");
}

TEST(Command, AScriptWhoseInterpreterIsMissing) {
  Container container;
  std::ofstream(container.root() / "x") << "#!/no/shell\n";
  std::filesystem::permissions(container.root() / "x", std::filesystem::perms(0755));
  container.command({"/x"});
  Failure failure = start_failure(container);
  EXPECT_EQ(failure.code, ErrorCode::kCommandNotFound);
  EXPECT_EQ(failure.message, "exec /x: no such file or directory");
}

TEST(Command, SearchedInTheContainersOwnPath) {
  Container container;
  std::filesystem::create_directory(container.root() / "opt");
  std::ofstream(container.root() / "opt/tool") << "#!/bin/sh\necho found\n";
  std::filesystem::permissions(container.root() / "opt/tool", std::filesystem::perms(0755));
  container.spec.process.env = {"PATH=/nowhere:/opt"};
  container.command({"tool"});
  EXPECT_EQ(container.run().out, "found\n");
}

TEST(Command, KilledBySignal) {
  Container container;
  container.shell("sleep 1000");
  container.create().start();
  container.wall().signal("", SIGKILL, sandbox::SignalScope::kProcess);
  EXPECT_EQ(container.finish().code, 137);
  EXPECT_THROW(container.wall().signal("", SIGTERM, sandbox::SignalScope::kProcess), Error);
  container.destroy();
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Command, SignalsAreAtTheirDefaults) {
  const auto old = ::signal(SIGPIPE, SIG_IGN);
  Container container;
  container.command({"cat", "/proc/self/status"});
  EXPECT_THAT(container.run().out, HasSubstr("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000"));
  EXPECT_EQ(::signal(SIGPIPE, old), SIG_IGN);
}

TEST(Command, CreatedButNeverStartedIsDestroyed) {
  Container container;
  container.create();
  EXPECT_EQ(container.wall().processes().size(), 1U);
  container.destroy();
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Command, CleanUpAfterALostOwner) {
  Container container;
  container.shell("sleep 1000 & sleep 1000");
  container.create().start();
  sandbox::ProcessIsolation().clean_up(container.id(), container.spec, container.folder());
  EXPECT_THAT(container.wall().processes(), IsEmpty());
  container.destroy();
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

}  // namespace bulkhead::test
