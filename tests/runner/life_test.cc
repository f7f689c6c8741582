// A running container: terminal, exec, pause, limits, the OOM killer.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "container.h"
#include "support/error.h"

namespace bulkhead::test {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

class Running : public testing::Test {
 protected:
  void SetUp() override {
    container.shell("echo up >/tmp/up; while :; do sleep 1000; done");
    configure();
    container.create().start();
    while (slurp(container.root() / "tmp/up").empty()) {
      ::usleep(1000);
    }
  }
  void TearDown() override {
    container.destroy();
    EXPECT_THAT(container.leftovers(), IsEmpty());
  }
  virtual void configure() {}

  Container container;
};

}  // namespace

TEST(Terminal, IsTheContainersOwn) {
  Container container;
  container.spec.process.terminal = true;
  container.spec.process.console_size = oci::ConsoleSize{.height = 33, .width = 44};
  container.spec.linux_.resources.devices.push_back({.allow = true, .type = 'c', .major = 5, .minor = 1, .access = "rwm"});
  container.shell("tty; stty size; stat -c '%t:%T' /dev/console; echo to-console >/dev/console; echo to-tty >/dev/tty");
  Result result = container.run();
  EXPECT_THAT(result.out, HasSubstr("/dev/pts/0\r\n33 44\r\n88:0\r\nto-console\r\nto-tty\r\n"));
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST_F(Running, ExecIsInsideTheSameWall) {
  Result result = container.exec_shell(
      "readlink /proc/self/ns/pid; readlink /proc/1/ns/pid; hostname; cat /proc/self/status; cat /proc/self/cgroup");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out.substr(0, result.out.find('\n')), result.out.substr(result.out.find('\n') + 1, result.out.find('\n')));
  EXPECT_THAT(result.out, HasSubstr("inside\n"));
  EXPECT_THAT(result.out, HasSubstr("CapEff:\t00000000a80424fb"));
  EXPECT_THAT(result.out, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(result.out, HasSubstr("memory:/\n"));
}

TEST_F(Running, ExecLeaksNothing) {
  Result result = container.exec_shell("ls -l /proc/self/fd /proc/$$/fd; ls /proc/$$/exe -l");
  EXPECT_THAT(result.out, Not(HasSubstr("socket")));
  EXPECT_THAT(result.out, Not(HasSubstr("pidfd")));
  EXPECT_THAT(result.out, HasSubstr("/bin/busybox"));
}

TEST_F(Running, ExecWithATerminal) {
  oci::Process process = container.spec.process;
  process.terminal = true;
  process.args = {"sh", "-c", "tty; exit 3"};
  Result result = container.exec(process);
  EXPECT_EQ(result.out, "/dev/pts/0\r\n");
  EXPECT_EQ(result.code, 3);
}

TEST_F(Running, ExecFailuresAreDockers) {
  oci::Process process = container.spec.process;
  process.args = {"missing"};
  try {
    container.wall().exec("e", process, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCommandNotFound);
    EXPECT_EQ(error.message(), "exec: \"missing\": executable file not found in $PATH");
  }
  process.args = {"true"};
  process.cwd = "/missing";
  try {
    container.wall().exec("e", process, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "chdir to cwd (\"/missing\") set in config.json failed: no such file or directory");
  }
  EXPECT_EQ(container.exec_shell("exit 7").code, 7);
}

TEST_F(Running, PauseStopsAndResumeGoesOn) {
  container.wall().pause();
  EXPECT_THROW(container.exec_shell("true"), Error);
  container.wall().resume();
  EXPECT_EQ(container.exec_shell("echo back").out, "back\n");
}

TEST_F(Running, APausedContainerCanBeDestroyed) { container.wall().pause(); }

TEST_F(Running, LimitsCanBeChanged) {
  if (!host_has("memory") || !host_has("pids")) {
    GTEST_SKIP() << "this host has no memory and pids cgroup controllers";
  }
  oci::Resources resources;
  resources.memory_limit = 64 << 20;
  resources.memory_swap = 64 << 20;
  resources.pids_limit = 20;
  resources.cpu_quota = 50000;
  container.wall().update(resources);
  EXPECT_EQ(container.wall().statistics().memory_limit, 64U << 20);
  EXPECT_EQ(container.wall().statistics().pids_limit, 20U);
  resources.memory_limit = resources.memory_swap = 128 << 20;
  container.wall().update(resources);
  EXPECT_EQ(container.wall().statistics().memory_limit, 128U << 20);
}

TEST_F(Running, SignalAllReachesEveryProcess) {
  oci::Process process = container.spec.process;
  process.args = {"sleep", "1000"};
  container.wall().exec("one", process, {});
  EXPECT_EQ(container.wall().processes().size(), 3U);  // sh, its sleep, the exec
  container.wall().signal("", SIGKILL, sandbox::SignalScope::kAll);
  EXPECT_EQ(container.wall().reap("one").code, 137);
}

TEST(OutOfMemory, IsTold) {
  if (!host_has("memory") || !host_has("pids")) {
    GTEST_SKIP() << "this host has no memory and pids cgroup controllers";
  }
  Container container;
  container.spec.linux_.resources.memory_limit = container.spec.linux_.resources.memory_swap = 16 << 20;
  container.spec.mounts.push_back({"/big", "tmpfs", "tmpfs", {"size=100m"}});
  Result result = container.run_shell("exec dd if=/dev/zero of=/big/x bs=1M count=64");
  EXPECT_EQ(result.code, 137);
  EXPECT_TRUE(result.out_of_memory);
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(ProcessLimit, Holds) {
  if (!host_has("memory") || !host_has("pids")) {
    GTEST_SKIP() << "this host has no memory and pids cgroup controllers";
  }
  Container container;
  container.spec.linux_.resources.pids_limit = 5;
  EXPECT_THAT(container.run_shell("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done").out, HasSubstr("fork"));
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(HostPidNamespace, DestroyEndsEverything) {
  Container container;
  std::erase_if(container.spec.linux_.namespaces, [](const oci::Namespace& each) { return each.type == "pid"; });
  container.shell("sleep 1000 & sleep 1000 & echo x >/tmp/up; sleep 1000");
  container.create().start();
  while (slurp(container.root() / "tmp/up").empty()) {
    ::usleep(1000);
  }
  EXPECT_GE(container.wall().processes().size(), 3U);
  container.destroy();
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(JoinedNamespaces, AreThoseOfTheOtherContainer) {
  Container first;
  first.shell("sleep 1000");
  first.create().start();
  const std::string at = "/proc/" + std::to_string(first.wall().init().pid) + "/ns/";
  Container second;
  second.spec.hostname.clear();
  second.spec.linux_.namespaces = {
      {"mount", ""}, {"network", at + "net"}, {"ipc", at + "ipc"}, {"uts", at + "uts"}, {"pid", at + "pid"}};
  Result result = second.run_shell("readlink /proc/self/ns/net; readlink /proc/self/ns/pid; cat /proc/1/cmdline");
  EXPECT_THAT(result.out, HasSubstr(std::filesystem::read_symlink(at + "net").native()));
  EXPECT_THAT(result.out, HasSubstr(std::filesystem::read_symlink(at + "pid").native()));
  EXPECT_THAT(result.out, HasSubstr("sleep"));
  first.destroy();
}

}  // namespace bulkhead::test
