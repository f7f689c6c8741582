#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "api/detach_keys.h"
#include "api/stream_proxy.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

TEST(DetachKeysTest, Parses) {
  EXPECT_EQ(parse_detach_keys(""), "\x10\x11");
  EXPECT_EQ(parse_detach_keys("ctrl-a,d"),
            "\x01"
            "d");
  EXPECT_EQ(parse_detach_keys("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_"), std::string("\0\x1b\x1c\x1d\x1e\x1f", 6));
  for (const char* text : {",", "ctrl-", "ctrl-A", "ctrl-aa", "ab", "a,", "alt-x"}) {
    EXPECT_THROW(parse_detach_keys(text), Error) << text;
  }
}

TEST(DetachKeysTest, HoldsBackABeginningUntilItIsClear) {
  DetachScanner scanner("\x10\x11");
  std::string out;
  EXPECT_FALSE(scanner.scan("ab\x10", out));
  EXPECT_EQ(out, "ab");
  EXPECT_FALSE(scanner.scan("c", out));
  EXPECT_EQ(out,
            "ab\x10"
            "c");
  EXPECT_FALSE(scanner.scan("\x10\x10", out));
  EXPECT_TRUE(scanner.scan("\x11rest", out));
  EXPECT_EQ(out,
            "ab\x10"
            "c\x10");
}

TEST(DetachKeysTest, FindsASequenceThatOverlapsItself) {
  DetachScanner scanner("aab");
  std::string out;
  EXPECT_TRUE(scanner.scan("aaab", out));
  EXPECT_EQ(out, "a");
}

class ProxyTest : public ::testing::Test {
 protected:
  ProxyTest() {
    make_pair(client_, server_side_);
    make_pair(process_, stream_);
    make_pair(stopper_, stop_);
  }
  static void make_pair(UniqueFd& first, UniqueFd& second) {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    first.reset(pair[0]);
    second.reset(pair[1]);
  }
  void start(ProxyOptions options, std::string early = "") {
    thread_ = std::thread([this, options = std::move(options), early = std::move(early)] {
      end_ = proxy({server_side_.get(), early}, stop_.get(), stream_, options);
      stream_.reset();
      server_side_.reset();
    });
  }
  ProxyEnd end() {
    thread_.join();
    return end_;
  }
  void TearDown() override {
    if (thread_.joinable()) {
      client_.reset();
      thread_.join();
    }
  }
  static void send(const UniqueFd& to, std::string_view bytes) {
    ASSERT_EQ(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  static std::string receive(const UniqueFd& from, size_t size) {
    std::string text(size, '\0');
    ssize_t count = ::recv(from.get(), text.data(), size, MSG_WAITALL);
    text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
    return text;
  }

  UniqueFd client_, server_side_, process_, stream_, stopper_, stop_;
  std::thread thread_;
  ProxyEnd end_{};
};

TEST_F(ProxyTest, CarriesBothWaysAndEndsWithTheProcess) {
  start({.send_input = true}, "early ");
  send(client_, "input");
  EXPECT_EQ(receive(process_, 11), "early input");
  send(process_, "output");
  process_.reset();
  EXPECT_EQ(receive(client_, 100), "output");
  EXPECT_EQ(end(), ProxyEnd::kStreamEnded);
}

TEST_F(ProxyTest, PassesTheEndOfInputOnWhileOutputGoesOn) {
  start({.send_input = true});
  send(client_, "x");
  ::shutdown(client_.get(), SHUT_WR);
  EXPECT_EQ(receive(process_, 100), "x");
  send(process_, "still here");
  EXPECT_EQ(receive(client_, 10), "still here");
  process_.reset();
  EXPECT_EQ(end(), ProxyEnd::kStreamEnded);
}

TEST_F(ProxyTest, DropsInputThatIsNotWanted) {
  start({.send_input = false});
  send(client_, "x");
  ::shutdown(client_.get(), SHUT_WR);
  send(process_, "out");
  EXPECT_EQ(receive(client_, 3), "out");
  process_.reset();
  EXPECT_EQ(end(), ProxyEnd::kStreamEnded);
}

TEST_F(ProxyTest, SeesThatTheClientLeft) {
  start({.send_input = false});
  client_.reset();
  EXPECT_EQ(end(), ProxyEnd::kClientGone);
}

TEST_F(ProxyTest, Detaches) {
  start({.send_input = true, .detach_keys = "\x10\x11"});
  send(client_, "a\x10");
  EXPECT_EQ(receive(process_, 1), "a");
  send(client_, "\x11");
  EXPECT_EQ(end(), ProxyEnd::kDetached);
}

TEST_F(ProxyTest, StopsWithTheServer) {
  start({.send_input = true});
  send(stopper_, "x");
  EXPECT_EQ(end(), ProxyEnd::kStopping);
}

TEST_F(ProxyTest, LosesNothingToASlowClient) {
  start({.send_input = true});
  std::string sent(4 << 20, 'x');
  std::thread writer([&] {
    send(process_, sent);
    process_.reset();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(receive(client_, sent.size()).size(), sent.size());
  writer.join();
  EXPECT_EQ(end(), ProxyEnd::kStreamEnded);
}

}  // namespace
}  // namespace bulkhead::api
