#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

namespace bulkhead::http {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A server that serves one end of a socket pair; the test is the client at the other.
class ServerTest : public ::testing::Test {
 protected:
  void start(Server::Handler handler, ServerOptions options = {}, Peer peer = Peer::kUnix) {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    client_.reset(pair[0]);
    server_ = std::make_unique<Server>(std::move(handler), options);
    thread_ = std::thread([this, peer, socket = pair[1]] { server_->serve(UniqueFd(socket), peer); });
  }
  void TearDown() override {
    client_.reset();
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  /// False where the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  /// What comes until `last` is met, the server closes, or ten seconds are over.
  std::string receive(std::string_view last = "") {
    std::string text;
    std::array<char, 65536> part{};
    pollfd polled{client_.get(), POLLIN, 0};
    while ((last.empty() || text.find(last) == std::string::npos) && ::poll(&polled, 1, 10'000) > 0) {
      ssize_t count = ::recv(client_.get(), part.data(), part.size(), 0);
      if (count <= 0) {
        break;
      }
      text.append(part.data(), static_cast<size_t>(count));
    }
    return text;
  }

  UniqueFd client_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

void echo(Exchange& exchange) {
  try {
    std::string body = exchange.read_body(1024);
    exchange.answer(200, "text/plain", exchange.head().target + "|" + body + "|");
  } catch (const StatusError& error) {
    exchange.fail(error.status(), error.message());
  }
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  start(echo);
  send("GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /c HTTP/1.1\r\n\r\n");
  std::string text = receive("/c||");
  size_t first = text.find("/a||");
  size_t second = text.find("/b|abc|");
  EXPECT_LT(first, second);
  EXPECT_LT(second, text.find("/c||"));
}

TEST_F(ServerTest, ReadsRequestsThatComeByteByByte) {
  start(echo);
  for (char letter :
       std::string("POST /slow HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")) {
    send(std::string(1, letter));
  }
  EXPECT_THAT(receive("/slow|abcde|"), HasSubstr("/slow|abcde|"));
  send("GET /again HTTP/1.1\r\n\r\n");
  EXPECT_THAT(receive("/again||"), HasSubstr("/again||"));
}

TEST_F(ServerTest, RefusesAGigabyteBeforeReadingIt) {
  start(echo);
  send("POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\nthe first bytes");
  std::string text = receive("}");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 413 Payload Too Large\r\n"));
  EXPECT_THAT(text, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(text, HasSubstr("{\"message\":\"the request's body is larger than"));
}

TEST_F(ServerTest, CutsOffAChunkedBodyThatNeverEnds) {
  start(echo);
  send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string chunk = "400\r\n" + std::string(1024, 'x') + "\r\n";
  while (send(chunk)) {
    pollfd polled{client_.get(), POLLIN, 0};
    if (::poll(&polled, 1, 0) > 0) {
      break;
    }
  }
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, RefusesAHugeHead) {
  start(echo);
  send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x'));
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 431"));
}

TEST_F(ServerTest, TakesTheAbsoluteForm) {
  start(echo);
  send("GET http://x/a/b?c=http://d/e HTTP/1.1\r\nHost: y\r\n\r\n");
  EXPECT_THAT(receive("||"), HasSubstr("\n/a/b?c=http://d/e||"));
  send("GET HTTP://x HTTP/1.1\r\n\r\n");
  EXPECT_THAT(receive("||"), HasSubstr("\n/||"));
  send("GET http://x?c HTTP/1.1\r\n\r\n");
  EXPECT_THAT(receive("||"), HasSubstr("\n/?c||"));
}

TEST_F(ServerTest, RefusesAHugeTarget) {
  start(echo);
  send("GET /" + std::string(100'000, 'x'));
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 4"));
}

TEST_F(ServerTest, RefusesWhatIsNoHttp) {
  for (const char* text : {"\x16\x03\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
                           "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                           "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                           "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
                           "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc"}) {
    start(echo);
    send(text);
    std::string answer = receive("}");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5")) << text << " -> " << answer;
    TearDown();
  }
}

TEST_F(ServerTest, RefusesABadChunk) {
  start(echo);
  send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 400"));
}

TEST_F(ServerTest, GivesUpOnASlowHead) {
  ServerOptions options;
  options.limits.head_time = std::chrono::milliseconds(100);
  start(echo, options);
  auto begin = Clock::now();
  send("GET / HTTP/1.1\r\nX-Slow: ");
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 408"));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(3));
}

TEST_F(ServerTest, ClosesIdleConnections) {
  ServerOptions options;
  options.limits.idle_time = std::chrono::milliseconds(50);
  start(echo, options);
  EXPECT_EQ(receive(), "");
}

TEST_F(ServerTest, SendsContinueWhereTheBodyIsWanted) {
  start(echo);
  send("POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  send("ok");
  EXPECT_THAT(receive("|ok|"), HasSubstr("|ok|"));
}

TEST_F(ServerTest, StreamsInChunksThatArriveAtOnce) {
  start([](Exchange& exchange) {
    exchange.begin_stream(200, "application/json");
    exchange.flush();
    exchange.write("first");
    std::array<char, 16> more{};
    exchange.read_some(more.data(), more.size());  // waits for the client
    exchange.write("second");
  });
  send("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
  EXPECT_THAT(receive("first\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  send("x");
  EXPECT_THAT(receive("0\r\n\r\n"), HasSubstr("6\r\nsecond\r\n0\r\n\r\n"));
}

TEST_F(ServerTest, StreamsToHttp10UntilItCloses) {
  start([](Exchange& exchange) {
    exchange.begin_stream(200, "text/plain");
    exchange.write("all");
  });
  send("GET / HTTP/1.0\r\n\r\n");
  std::string text = receive();
  EXPECT_THAT(text, HasSubstr("\r\n\r\nall"));
  EXPECT_THAT(text, Not(HasSubstr("chunked")));
}

TEST_F(ServerTest, BreaksOffAStreamThatFailed) {
  start([](Exchange& exchange) {
    exchange.begin_stream(200, "text/plain");
    exchange.write("half");
    throw Error(ErrorCode::kInternal, "failed");
  });
  send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(receive(), Not(HasSubstr("0\r\n\r\n")));
}

TEST_F(ServerTest, UpgradesToARawStreamWithWhatCameEarly) {
  start([](Exchange& exchange) {
    exchange.read_body(100);
    Exchange::Raw raw = exchange.hijack("application/vnd.docker.raw-stream");
    EXPECT_EQ(raw.early, "early");
    ASSERT_EQ(::send(raw.descriptor, "raw", 3, 0), 3);
  });
  send("POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}early");
  std::string text = receive();
  EXPECT_THAT(text, StartsWith("HTTP/1.1 101 UPGRADED\r\n"));
  EXPECT_THAT(text, HasSubstr("Upgrade: tcp\r\n"));
  EXPECT_TRUE(text.ends_with("\r\n\r\nraw")) << text;
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  start([](Exchange& exchange) { exchange.answer(200, "text/plain", "OK"); });
  send("HEAD / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
  std::string text = receive();
  EXPECT_THAT(text, HasSubstr("Content-Length: 2\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("OK\r\n\r\n")));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, KeepsLineBreaksOutOfHeaders) {
  start([](Exchange& exchange) {
    exchange.response_headers().add("X", "a\r\nEvil: yes");
    exchange.answer(204, "", "");
  });
  send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(receive("\r\n\r\n"), Not(HasSubstr("\nEvil")));
}

TEST_F(ServerTest, RefusesWebPagesOnTcp) {
  start(echo, {}, Peer::kTcp);
  send("GET / HTTP/1.1\r\nHost: evil.example:2375\r\n\r\n");
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 403"));
  send("GET / HTTP/1.1\r\nHost: 127.0.0.1:2375\r\nOrigin: http://evil.example\r\n\r\n");
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 403"));
  send("GET http://evil.example:2375/ HTTP/1.1\r\nHost: 127.0.0.1:2375\r\n\r\n");
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 403"));
  send("GET /fine HTTP/1.1\r\nHost: [::1]:2375\r\n\r\n");
  EXPECT_THAT(receive("/fine||"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ATlsPeerHasAHostOfItsOwnButIsNoWebPage) {
  start(echo, {}, Peer::kTls);
  send("GET / HTTP/1.1\r\nHost: engine.example:2376\r\nOrigin: http://evil.example\r\n\r\n");
  EXPECT_THAT(receive("}"), StartsWith("HTTP/1.1 403"));
  send("GET /fine HTTP/1.1\r\nHost: engine.example:2376\r\n\r\n");
  EXPECT_THAT(receive("/fine||"), StartsWith("HTTP/1.1 200"));
}

TEST(PeerTest, AUnixPeerHasNoNameAndATlsPeerNoUid) {
  for (Peer peer : {Peer::kUnix, Peer::kTcp, Peer::kTls}) {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    UniqueFd other(pair[1]);
    ServerConnection connection(UniqueFd(pair[0]), peer, -1, "admin");
    EXPECT_EQ(connection.credentials().has_value(), peer == Peer::kUnix);
    EXPECT_EQ(connection.tls_name(), peer == Peer::kTls ? "admin" : "");
  }
}

TEST_F(ServerTest, StopEndsIdleConnectionsAndStreams) {
  start([](Exchange& exchange) {
    exchange.begin_stream(200, "text/plain");
    exchange.flush();
    while (!exchange.is_cancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  send("GET / HTTP/1.1\r\n\r\n");
  receive("\r\n\r\n");
  server_->stop();
  EXPECT_EQ(receive(), "0\r\n\r\n");
}

TEST_F(ServerTest, WaitsForAClientNoLongerThanItsHandlersPatience) {
  UniqueFd interrupt(::eventfd(0, EFD_CLOEXEC));
  std::vector<std::string> why;
  start([&](Exchange& exchange) {
    std::array<char, 100> part{};
    for (Patience patience : {Patience{.idle = std::chrono::milliseconds(20)}, Patience{.interrupt = interrupt.get()}}) {
      exchange.set_patience(patience);
      try {
        exchange.read_some(part.data(), part.size());
      } catch (const Error& error) {
        why.emplace_back(error.what());
      }
      ::eventfd_write(interrupt.get(), 1);
    }
    exchange.begin_stream(200, "text/plain");
    try {
      for (std::string piece(1UL << 20, 'x');;) {
        exchange.write(piece);  // which nobody reads
      }
    } catch (const Error& error) {
      why.emplace_back(error.what());
      throw;
    }
  });
  send("PUT /x HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
  thread_.join();
  EXPECT_THAT(why, ElementsAre(HasSubstr("in time"), HasSubstr("broken off"), HasSubstr("does not read")));
}

TEST_F(ServerTest, SeesThatTheClientLeft) {
  std::atomic<bool> seen = false;
  start([&](Exchange& exchange) {
    while (!exchange.is_cancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    seen = true;
  });
  send("GET / HTTP/1.1\r\n\r\n");
  client_.reset();
  thread_.join();
  EXPECT_TRUE(seen);
}

TEST(ListenTest, ServesLoopbackOnly) {
  Server server(echo, {});
  for (const char* host : {"0.0.0.0", "::", "192.168.1.1", "example.org", ""}) {
    EXPECT_THROW(server.listen_tcp(host, 0), Error) << host;
  }
  EXPECT_GT(server.listen_tcp("127.0.0.1", 0), 0);
}

TEST(MessageTest, ParsesQueries) {
  Query query = Query::parse("a=1&b=x%2Fy+z&flag&a=2&bad=%zz&=");
  EXPECT_EQ(query.get("a"), "1");
  EXPECT_EQ(query.all("a").size(), 2U);
  EXPECT_EQ(query.get("b"), "x/y z");
  EXPECT_TRUE(query.has("flag"));
  EXPECT_FALSE(query.flag("flag"));
  EXPECT_FALSE(query.has("bad"));
  EXPECT_TRUE(Query::parse("x=true").flag("x"));
  EXPECT_FALSE(Query::parse("x=False").flag("x"));
}

TEST(MessageTest, EscapesJson) {
  EXPECT_EQ(json_string("a\"\\\n\x01"), "\"a\\\"\\\\\\n\\u0001\"");
  EXPECT_EQ(json_string("\xff\xc3\xa9"), "\"\xef\xbf\xbd\xc3\xa9\"");
}

}  // namespace
}  // namespace bulkhead::http
