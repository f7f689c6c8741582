#include "runner/shared_command.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "support/error.h"
#include "support/pipe.h"

namespace bulkhead::runner {
namespace {

TEST(SharedCommandTest, AChildFindsWhatItsParentPutsThereLater) {
  SharedCommand command;
  command.put({"/bin/a", nullptr}, {"a", "b", nullptr}, {nullptr});
  Pipe go;
  pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    (void)!::read(go.read.get(), &byte, 1);
    bool right = std::strcmp(command.candidates()[1], "/usr/bin/c") == 0 && command.candidates()[2] == nullptr &&
                 std::strcmp(command.argv()[0], "c") == 0 && command.argv()[1] == nullptr &&
                 std::strcmp(command.environment()[0], "X=1") == 0 && command.environment()[1] == nullptr;
    ::_exit(right ? 0 : 1);
  }
  {
    std::string name = "c";  // copied: gone when the child looks
    command.put({"/bin/c", "/usr/bin/c", nullptr}, {name.c_str(), nullptr}, {"X=1", nullptr});
  }
  EXPECT_EQ(::write(go.write.get(), "x", 1), 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(SharedCommandTest, WhatDoesNotFitIsRefused) {
  SharedCommand command;
  std::string long_text(5UL << 20, 'x');
  EXPECT_THROW(command.put({nullptr}, {long_text.c_str(), nullptr}, {nullptr}), Error);
  std::string half(3UL << 20, 'x');
  EXPECT_THROW(command.put({nullptr}, {half.c_str(), half.c_str(), nullptr}, {nullptr}), Error);
  command.put({nullptr}, {half.c_str(), nullptr}, {nullptr});
  EXPECT_EQ(half, command.argv()[0]);
}

}  // namespace
}  // namespace bulkhead::runner
