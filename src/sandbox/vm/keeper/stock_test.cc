#include "sandbox/vm/keeper/stock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <vector>

#include "sandbox/vm/keeper/memory_file.h"

namespace bulkhead::sandbox::vm {
namespace {

/// Processes stand for machines: the stock knows those by their pidfds alone.
class StockTest : public testing::Test {
 protected:
  ~StockTest() override {
    for (pid_t pid : pids_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  WarmMachine machine() {
    pid_t pid = ::fork();
    if (pid == 0) {
      ::pause();
      ::_exit(0);
    }
    pids_.push_back(pid);
    WarmMachine warm;
    warm.pid = pid;
    warm.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    return warm;
  }
  static Template made() {
    return {.memory = make_memory_file("test", 1), .devices = make_memory_file("test", 1), .scratch = {}};
  }
  static KeeperRequest request(const char* image, const char* container) {
    KeeperRequest request;
    request.key = "key\n";
    request.image.identity = image;
    request.container = container;
    return request;
  }
  bool ended(pid_t pid) {
    bool gone = ::waitpid(pid, nullptr, WNOHANG) == pid;
    if (gone) {
      std::erase(pids_, pid);
    }
    return gone;
  }

  Stock stock_{2, std::chrono::milliseconds(0)};
  std::vector<pid_t> pids_;
};

TEST_F(StockTest, AMachineWithAContainerIsGivenToThatKindAlone) {
  KeeperRequest mine = request("image", "spec");
  stock_.take(mine);  // asked for: there is a place for it
  WarmMachine prepared = machine();
  pid_t pid = prepared.pid;
  stock_.put(mine.kind(), std::move(prepared));
  for (const KeeperRequest& other : {request("other image", "spec"), request("image", "other spec"), request("", "")}) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(stock_.take(other)));
  }
  KeeperAnswer answer = stock_.take(mine);
  ASSERT_TRUE(std::holds_alternative<WarmMachine>(answer));
  EXPECT_EQ(std::get<WarmMachine>(answer).pid, pid);
}

TEST_F(StockTest, WhoHasNoneOfItsKindGetsOneWithoutAContainer) {
  KeeperRequest plain = request("", "");
  stock_.expect(plain);
  stock_.put(plain.kind(), machine());
  EXPECT_TRUE(std::holds_alternative<WarmMachine>(stock_.take(request("image", "spec"))));
  stock_.put(plain.kind(), made());
  EXPECT_TRUE(std::holds_alternative<Template>(stock_.take(request("image", "spec"))));
}

TEST_F(StockTest, ATemplateIsForItsKindToo) {
  KeeperRequest mine = request("image", "spec");
  stock_.take(mine);
  stock_.put(mine.kind(), made());
  EXPECT_TRUE(std::holds_alternative<std::monostate>(stock_.take(request("image", "other spec"))));
  EXPECT_TRUE(std::holds_alternative<Template>(stock_.take(mine)));
}

TEST_F(StockTest, WhatIsMadeNext) {
  KeeperRequest plain = request("", "");
  KeeperRequest mine = request("image", "spec");
  stock_.expect(plain);
  stock_.take(mine);
  auto job = stock_.await_job();
  EXPECT_EQ(job->request.kind(), plain.kind());
  EXPECT_EQ(job->from, nullptr);
  stock_.put(plain.kind(), made());
  job = stock_.await_job();
  EXPECT_EQ(job->request.kind(), mine.kind());
  EXPECT_EQ(job->from, nullptr);
  stock_.put(mine.kind(), made());
  job = stock_.await_job();  // two wait: one with the container, one without
  EXPECT_EQ(job->request.kind(), mine.kind());
  EXPECT_NE(job->from, nullptr);
  stock_.put(mine.kind(), machine());
  job = stock_.await_job();
  EXPECT_EQ(job->request.kind(), plain.kind());
}

TEST_F(StockTest, WhereOnlyClonesAreAskedForNoneWaits) {
  KeeperRequest plain = request("", "");
  plain.wanted = Wanted::kTemplate;
  stock_.take(plain);
  stock_.put(plain.kind(), made());
  auto job = std::async(std::launch::async, [&] { return stock_.await_job(); });
  EXPECT_EQ(job.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  stock_.take(request("", ""));
  EXPECT_NE(job.get()->from, nullptr);
}

TEST_F(StockTest, MachinesForAnotherContainerGoWhenRoomIsNeeded) {
  KeeperRequest old = request("image", "old");
  stock_.take(old);
  stock_.put(request("", "").kind(), made());
  stock_.put(old.kind(), made());
  WarmMachine waiting = machine();
  pid_t pid = waiting.pid;
  stock_.put(old.kind(), std::move(waiting));
  KeeperRequest now = request("image", "new");
  stock_.take(now);
  stock_.put(now.kind(), made());
  EXPECT_EQ(stock_.await_job()->request.kind(), now.kind());
  for (int i = 0; i < 1000 && !ended(pid); ++i) {
    ::usleep(1000);
  }
  EXPECT_EQ(std::count(pids_.begin(), pids_.end(), pid), 0);
}

TEST_F(StockTest, AContainerThatCantBeMadeIsTriedOnce) {
  KeeperRequest mine = request("image", "spec");
  stock_.take(mine);
  stock_.put(request("", "").kind(), made());
  EXPECT_EQ(stock_.await_job()->request.kind(), mine.kind());
  stock_.note_failure(mine.kind());
  EXPECT_TRUE(stock_.await_job()->request.container.empty());
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
