#include "tls/relay.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <thread>

#include "support/error.h"
#include "tls/authority_test.h"

namespace bulkhead::tls {
namespace {

using Clock = std::chrono::steady_clock;

class RelayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    server_socket_.reset(pair[0]);
    client_socket_.reset(pair[1]);
  }
  /// Shakes hands; the server's error, or "".
  std::string shake_hands(const Files& client, const std::string& host = "127.0.0.1") {
    auto deadline = Clock::now() + std::chrono::seconds(20);
    auto context = Context::for_server(ours_.files("server"));
    server_ = std::make_unique<Session>(Session::accept(std::move(server_socket_), *context));
    client_context_ = Context::for_client(client);
    client_ = std::make_unique<Session>(Session::connect(std::move(client_socket_), *client_context_, host));
    std::string server_error;
    std::thread server([&] {
      try {
        server_->handshake(deadline, -1);
      } catch (const Error& error) {
        server_error = error.message();
        server_.reset();
      }
    });
    try {
      client_->handshake(deadline, -1);
    } catch (const Error& error) {
      client_error_ = error.message();
      client_.reset();
    }
    server.join();
    return server_error;
  }
  void start_relays() {
    EXPECT_EQ(shake_hands(ours_.files("client")), "");
    ASSERT_TRUE(server_ && client_) << client_error_;
    EXPECT_EQ(server_->peer_name(), "client");
    at_server_ = std::make_unique<Relay>(std::move(*server_));
    at_client_ = std::make_unique<Relay>(std::move(*client_));
    server_end_ = at_server_->take_socket();
    client_end_ = at_client_->take_socket();
  }

  Authority ours_{"ours"}, theirs_{"theirs"};
  UniqueFd server_socket_, client_socket_;
  std::shared_ptr<const Context> client_context_;
  std::unique_ptr<Session> server_, client_;
  std::string client_error_;
  std::unique_ptr<Relay> at_server_, at_client_;
  UniqueFd server_end_, client_end_;
};

TEST_F(RelayTest, CarriesBothWaysAndHalfClosesEach) {
  start_relays();
  std::string much(3'000'000, 'x');
  std::thread writer([&] {
    write_all(client_end_.get(), much);
    ::shutdown(client_end_.get(), SHUT_WR);
  });
  EXPECT_EQ(read_all(server_end_.get()), much);
  writer.join();
  // The client's input has ended: the answer still comes, and its end too.
  std::thread answer([&] {
    write_all(server_end_.get(), much);
    ::shutdown(server_end_.get(), SHUT_WR);
  });
  EXPECT_EQ(read_all(client_end_.get()), much);
  answer.join();
  EXPECT_EQ(at_client_->failure() + at_server_->failure(), "");
}

TEST_F(RelayTest, TheServersEndLeavesTheClientsInput) {
  start_relays();
  ::shutdown(server_end_.get(), SHUT_WR);
  EXPECT_EQ(read_all(client_end_.get()), "");
  write_all(client_end_.get(), "still read");
  client_end_.reset();
  EXPECT_EQ(read_all(server_end_.get()), "still read");
}

TEST_F(RelayTest, SendsWhatWasWrittenBeforeItEnds) {
  start_relays();
  write_all(client_end_.get(), "last words");
  at_client_.reset();
  EXPECT_EQ(read_all(server_end_.get()), "last words");
  EXPECT_EQ(at_server_->failure(), "");
}

TEST_F(RelayTest, AClosedSocketEndsTheOtherSide) {
  start_relays();
  server_end_.reset();
  EXPECT_EQ(read_all(client_end_.get()), "");
  client_end_.reset();
  at_server_.reset();
  at_client_.reset();
}

TEST_F(RelayTest, WhoeverReadsNothingDoesNotHoldTheOtherDirectionUp) {
  start_relays();
  ASSERT_EQ(::send(client_end_.get(), "x", 1, 0), 1);
  std::string block(65536, 'y');
  while (::send(server_end_.get(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  char byte = 0;
  EXPECT_EQ(::recv(server_end_.get(), &byte, 1, 0), 1);
}

TEST_F(RelayTest, AnEndThatDoesNotFitIsNotSaidYet) {
  EXPECT_EQ(shake_hands(ours_.files("client")), "");
  ASSERT_TRUE(server_);
  std::string block(65536, 'y');
  while (::send(server_->descriptor(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  EXPECT_EQ(server_->end_writing(), Session::Io::kWantsOutput);
  EXPECT_EQ(server_->end_writing(), Session::Io::kWantsOutput);  // OpenSSL's second try is another path than its first
}

TEST_F(RelayTest, AnEndThatNobodySaidIsAFailure) {
  EXPECT_EQ(shake_hands(ours_.files("client")), "");
  ASSERT_TRUE(server_);
  at_server_ = std::make_unique<Relay>(std::move(*server_));
  server_end_ = at_server_->take_socket();
  client_.reset();  // closes the connection, without close_notify
  EXPECT_EQ(read_all(server_end_.get()), "");
  EXPECT_NE(at_server_->failure(), "");
}

TEST_F(RelayTest, WithoutACertificateNobodyIsLetIn) {
  Files none = ours_.files("client");
  none.certificate = none.key = "";
  EXPECT_EQ(shake_hands(none), "the client presented no certificate");
}

TEST_F(RelayTest, AnotherAuthoritysCertificateIsRefused) {
  Files other = theirs_.files("client");
  other.ca = ours_.folder() / "ca.pem";
  EXPECT_NE(shake_hands(other).find("the client's certificate is refused"), std::string::npos);
}

TEST_F(RelayTest, AnExpiredCertificateIsRefused) {
  EXPECT_NE(shake_hands(ours_.files("old", -1)).find("expired"), std::string::npos);
}

TEST_F(RelayTest, TheClientVerifiesTheServer) {
  EXPECT_NE(shake_hands(theirs_.files("client")), "");
  EXPECT_NE(client_error_.find("the server's certificate is refused"), std::string::npos) << client_error_;
}

TEST_F(RelayTest, TheServersCertificateHasToBeForItsHost) {
  EXPECT_NE(shake_hands(ours_.files("client"), "127.0.0.2"), "");
  EXPECT_NE(client_error_.find("mismatch"), std::string::npos) << client_error_;
}

TEST_F(RelayTest, AHandshakeThatStallsEndsInTime) {
  Session session = Session::accept(std::move(server_socket_), *Context::for_server(ours_.files("server")));
  try {
    session.handshake(Clock::now() + std::chrono::milliseconds(50), -1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeadlineExceeded);
  }
}

TEST_F(RelayTest, PlainHttpIsRecognized) {
  write_all(client_socket_.get(), "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n");
  Session session = Session::accept(std::move(server_socket_), *Context::for_server(ours_.files("server")));
  EXPECT_THROW(session.handshake(Clock::now() + std::chrono::seconds(20), -1), Error);
  EXPECT_TRUE(session.spoke_http());
}

TEST(ContextTest, SaysWhatIsWrongWithAFile) {
  Authority authority("context");
  Files good = authority.files("server");
  auto error_of = [](const Files& files) -> std::string {
    try {
      Context::for_server(files);
      return "";
    } catch (const Error& error) {
      return error.message();
    }
  };
  EXPECT_EQ(error_of(good), "");
  Files files = good;
  files.ca = "/nonexistent/ca.pem";
  EXPECT_NE(error_of(files).find("/nonexistent/ca.pem"), std::string::npos);
  files.ca = good.key;
  EXPECT_NE(error_of(files).find("no certificate is in it"), std::string::npos);
  files = good;
  files.certificate = good.key;
  EXPECT_NE(error_of(files).find("--tlscert"), std::string::npos);
  files = good;
  files.key = authority.files("other").key;
  EXPECT_NE(error_of(files).find("mismatch"), std::string::npos) << error_of(files);
  ASSERT_EQ(::chmod(good.key.c_str(), 0604), 0);
  EXPECT_NE(error_of(good).find("chmod 600"), std::string::npos);
  ASSERT_EQ(::chmod(good.key.c_str(), 0640), 0);
  EXPECT_EQ(error_of(good), "");
}

}  // namespace
}  // namespace bulkhead::tls
