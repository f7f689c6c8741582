#include "http/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "http/response_reader.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::http {
namespace {

TEST(ParseAddress, ReadsBothKinds) {
  EXPECT_EQ(parse_address("unix:///run/x.sock").path, "/run/x.sock");
  EXPECT_EQ(parse_address("tcp://127.0.0.1:99/").text(), "tcp://127.0.0.1:99");
  EXPECT_EQ(parse_address("tcp://host").port, "2375");
  EXPECT_EQ(parse_address("tcp://[::1]:80").host, "::1");
  EXPECT_EQ(parse_address("tcp://[::1]:80").text(), "tcp://[::1]:80");
}

TEST(ParseAddress, RefusesOthers) {
  for (const char* text : {"", "unix://relative", "http://x", "tcp://x:y", "tcp://[::1", "tcp://x:123456", "/run/x.sock"}) {
    EXPECT_THROW(parse_address(text), Error) << text;
  }
}

/// Decodes a whole response that comes in pieces of `piece` bytes, with a small buffer for the body.
std::string decode(const std::string& bytes, size_t piece, BodyPresence presence = BodyPresence::kAsTheHeadSays) {
  ResponseReader reader(presence);
  std::string pending;
  std::string body;
  char out[3];
  for (size_t start = 0; start < bytes.size() && !reader.done(); start += piece) {
    pending += bytes.substr(start, piece);
    for (bool moved = true; moved && !reader.done();) {
      if (!reader.head_done()) {
        size_t taken = reader.read_head(pending);
        pending.erase(0, taken);
        moved = taken > 0;
        continue;
      }
      ResponseReader::Piece step = reader.read_body(pending, out, sizeof out);
      pending.erase(0, step.taken);
      body.append(out, step.written);
      moved = step.taken + step.written > 0;
    }
  }
  if (!reader.done()) {
    reader.end_of_input();
  }
  return body;
}

const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n";
const std::string kSized = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world";
const std::string kUntilTheEnd = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello, world";

TEST(ResponseReader, DecodesEveryKindOfBody) {
  for (const std::string& bytes : {kChunked, kSized, kUntilTheEnd}) {
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
      EXPECT_EQ(decode(bytes, piece), "hello, world") << piece << " of\n" << bytes;
    }
  }
  EXPECT_EQ(decode("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 9, BodyPresence::kNone), "");
  EXPECT_EQ(decode("HTTP/1.1 204 No Content\r\n\r\n", 9), "");
}

TEST(ResponseReader, NoticesBrokenAnswers) {
  EXPECT_THROW(decode(kSized.substr(0, kSized.size() - 1), 5), Error);
  EXPECT_THROW(decode(kChunked.substr(0, kChunked.size() - 4), 5), Error);
  EXPECT_THROW(decode("SSH-2.0-OpenSSH_9.2\r\n\r\n", 5), Error);
  EXPECT_THROW(decode("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", 4096), Error);
}

/// A server for one connection, on a real socket: reads until the empty line, then writes `answer` and closes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : path_("/tmp/bulkhead-client-test-" + std::to_string(getpid()) + ".sock") {
    sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
    path_.copy(name.sun_path, sizeof(name.sun_path) - 1);
    unlink(path_.c_str());
    listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    thread_ = std::thread([this, answer = std::move(answer)] {
      UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      char byte = 0;
      while (request_.find("\r\n\r\n") == std::string::npos && read(connection.get(), &byte, 1) == 1) {
        request_ += byte;
      }
      write_all(connection.get(), answer);
    });
  }
  ~OneAnswer() {
    thread_.join();
    unlink(path_.c_str());
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;
  Address address() const { return parse_address("unix://" + path_); }

 private:
  std::string path_, request_;
  UniqueFd listener_;
  std::thread thread_;
};

TEST(Connection, SendsAndReceives) {
  OneAnswer server(kChunked);
  Connection connection = Connection::open(server.address());
  connection.send({.method = "GET", .target = "/x", .headers = {}}, "");
  EXPECT_EQ(connection.receive_head().status, 200);
  EXPECT_EQ(connection.receive_all(), "hello, world");
}

TEST(Connection, LimitsAnAnswer) {
  OneAnswer server(kChunked);
  Connection connection = Connection::open(server.address());
  connection.send({.method = "GET", .target = "/x", .headers = {}}, "");
  connection.receive_head();
  EXPECT_THROW(connection.receive_all(5), Error);
}

TEST(Connection, KeepsWhatCameWithTheUpgrade) {
  OneAnswer server("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst bytes");
  Connection connection = Connection::open(server.address());
  connection.send({.method = "POST", .target = "/x", .headers = {}}, "");
  EXPECT_EQ(connection.receive_head().status, 101);
  Upgraded upgraded = std::move(connection).upgrade();
  EXPECT_EQ(upgraded.received + read_all(upgraded.socket.get()), "first bytes");
}

TEST(Connection, SaysThatNobodyListens) {
  try {
    Connection::open(parse_address("unix:///tmp/bulkhead-no-such.sock"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_NE(error.message().find("/tmp/bulkhead-no-such.sock"), std::string::npos);
  }
}

}  // namespace
}  // namespace bulkhead::http
