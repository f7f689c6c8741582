#include "shim/file_server.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "support/error.h"

namespace bulkhead::shim {
namespace {

class FakeWork : public sandbox::FileWork {
 public:
  FakeWork() : done_(::eventfd(0, EFD_CLOEXEC)) {}
  int descriptor() const override { return done_.get(); }
  archive::PathStat result() override { return {}; }

 private:
  UniqueFd done_;
};

class FileServerTest : public ::testing::Test {
 protected:
  /// Returns where its end is announced.
  int add() {
    auto work = std::make_unique<FakeWork>();
    int done = work->descriptor();
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peers_.emplace_back(ends[0]);
    server_.add(std::move(work), UniqueFd(ends[1]));
    return done;
  }

  EventLoop loop_;
  FileServer server_{loop_};
  std::vector<UniqueFd> peers_;
};

TEST_F(FileServerTest, AFewRunAtOnceAndAsOneEndsAnotherMay) {
  int first = add();
  for (int i = 1; i < 8; ++i) {
    add();
  }
  EXPECT_THROW(add(), Error);
  uint64_t one = 1;
  ASSERT_EQ(::write(first, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  loop_.run([this] { loop_.stop(); });
  EXPECT_NO_THROW(add());
}

}  // namespace
}  // namespace bulkhead::shim
