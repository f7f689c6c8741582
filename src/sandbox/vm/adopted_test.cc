#include "sandbox/vm/adopted.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

class AdoptedTest : public testing::Test {
 protected:
  AdoptedTest() : folder_(testing::TempDir() + "adopted-" + std::to_string(::getpid())), pid_(::fork()) {
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
    make_folders(folder_);
  }
  ~AdoptedTest() override {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  bool runs() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

  std::filesystem::path folder_;
  pid_t pid_;
};

TEST_F(AdoptedTest, WhatIsNotedIsEnded) {
  kill_adopted(folder_);  // no note, no harm
  EXPECT_TRUE(runs());
  note_adopted(folder_, pid_);
  kill_adopted(folder_);
  EXPECT_FALSE(runs());
}

TEST_F(AdoptedTest, AnotherProcessWithItsNumberIsSpared) {
  replace_file(folder_ / "vm-adopted", std::to_string(pid_) + " 1", 0600, Durability::kUnsynced);
  kill_adopted(folder_);
  EXPECT_TRUE(runs());
}

TEST_F(AdoptedTest, OneThatHasEndedCantBeNoted) {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  EXPECT_THROW(note_adopted(folder_, pid_), Error);
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
