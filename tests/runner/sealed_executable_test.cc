// CVE-2019-5736: the program that runs containers can't be opened for writing through /proc/<pid>/exe.
#include "linux/sealed_executable.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace bulkhead::test {

namespace {

int run_sealed(const char* filter) {
  pid_t pid = ::fork();
  if (pid == 0) {
    std::array<char*, 5> arguments{const_cast<char*>("test"), const_cast<char*>(filter),
                                   const_cast<char*>("--gtest_also_run_disabled_tests"), const_cast<char*>("--gtest_brief=1"),
                                   nullptr};
    linux::seal_executable(arguments.data());
    ::_exit(99);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

}  // namespace

TEST(SealedExecutable, CannotBeWritten) { EXPECT_EQ(run_sealed("--gtest_filter=SealedExecutable.DISABLED_Inner"), 0); }

TEST(SealedExecutable, DISABLED_Inner) {
  EXPECT_TRUE(linux::executable_is_sealed());
  EXPECT_EQ(::access("/proc/self/exe", W_OK), -1);
  EXPECT_EQ(errno, EROFS);
}

}  // namespace bulkhead::test
