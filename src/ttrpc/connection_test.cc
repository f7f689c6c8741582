// Client and server against each other over a socket pair, the server on a thread with poll(2).
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "google/protobuf/any.pb.h"
#include "support/error.h"
#include "ttrpc/client.h"
#include "ttrpc/server.h"
#include "ttrpc/status.h"

namespace bulkhead::ttrpc {
namespace {

using google::protobuf::Any;
using namespace std::chrono_literals;

struct Pair {
  UniqueFd client, server;
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    client.reset(ends[0]);
    server.reset(ends[1]);
  }
};

/// Serves until the peer goes.
class ServerThread {
 public:
  ServerThread(UniqueFd socket, ServerConnection::Handler handler)
      : thread_([this, fd = std::move(socket), handler = std::move(handler)]() mutable {
          run(std::move(fd), std::move(handler));
        }) {}
  ~ServerThread() { thread_.join(); }
  std::atomic<bool> ended{false};

 private:
  void run(UniqueFd fd, ServerConnection::Handler handler) {
    short events = POLLIN;
    auto connection = std::make_shared<ServerConnection>(std::move(fd), std::move(handler), [&](WriteInterest interest) {
      events = interest == WriteInterest::kWanted ? POLLIN | POLLOUT : POLLIN;
    });
    try {
      for (;;) {
        pollfd wait{.fd = connection->descriptor(), .events = events, .revents = 0};
        ::poll(&wait, 1, -1);
        if (wait.revents & POLLOUT) {
          connection->on_writable();
        }
        if (wait.revents & (POLLIN | POLLHUP)) {
          connection->on_readable();
        }
      }
    } catch (const Error&) {
      ended = true;
    }
  }
  std::thread thread_;
};

Any text(std::string value) {
  Any any;
  any.set_value(std::move(value));
  return any;
}

TEST(Connection, CallsOverlapAndAnswersMayComeInAnyOrder) {
  Pair pair;
  std::optional<Responder> held;
  ServerThread server(std::move(pair.server), [&](const Call& call, Responder responder) {
    if (call.method == "Hold") {
      held = responder;
      return;
    }
    if (call.method == "Release") {
      held->succeed(text("released"));
    }
    responder.succeed(text(call.service + "/" + call.method));
  });
  Client client(std::move(pair.client));
  Any held_answer;
  std::thread holder([&] { client.call("S", "Hold", Any(), held_answer, std::nullopt); });
  for (int i = 0; i < 100; ++i) {
    Any answer;
    client.call("S", "Echo", Any(), answer, 10s);
    EXPECT_EQ(answer.value(), "S/Echo");
  }
  Any answer;
  for (;;) {  // until the holder's request has arrived
    std::this_thread::sleep_for(1ms);
    client.call("S", "Echo", Any(), answer, 10s);
    if (held) {
      break;
    }
  }
  client.call("S", "Release", Any(), answer, 10s);
  holder.join();
  EXPECT_EQ(held_answer.value(), "released");
}

TEST(Connection, ErrorsKeepTheirCodeAndMessage) {
  Pair pair;
  ServerThread server(std::move(pair.server), [&](const Call&, const Responder&) {
    throw Error(ErrorCode::kCommandNotFound, "no 'x' in the container");
  });
  Client client(std::move(pair.client));
  Any answer;
  try {
    client.call("S", "M", Any(), answer, 10s);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCommandNotFound);
    EXPECT_EQ(error.message(), "no 'x' in the container");
  }
}

TEST(Connection, ADroppedResponderAnswersToo) {
  Pair pair;
  ServerThread server(std::move(pair.server), [](const Call&, const Responder&) {});
  Client client(std::move(pair.client));
  Any answer;
  EXPECT_THROW(client.call("S", "M", Any(), answer, 10s), Error);
}

TEST(Connection, DeadlinesPassAndTheConnectionGoesOn) {
  Pair pair;
  std::optional<Responder> held;
  ServerThread server(std::move(pair.server), [&](const Call& call, Responder responder) {
    if (call.method == "Hold") {
      held = std::move(responder);
    } else {
      held->succeed(text("late"));
      responder.succeed(text("now"));
    }
  });
  Client client(std::move(pair.client));
  Any answer;
  try {
    client.call("S", "Hold", Any(), answer, 20ms);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDeadlineExceeded);
  }
  client.call("S", "Echo", Any(), answer, 10s);
  EXPECT_EQ(answer.value(), "now");
}

TEST(Connection, BadBytesEndItAndCallersAreTold) {
  Pair pair;
  {
    ServerThread server(std::move(pair.server), [](const Call&, Responder responder) { responder.succeed(Any()); });
    std::string garbage = "GET / HTTP/1.1\r\n\r\n";
    ASSERT_EQ(::send(pair.client.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), static_cast<ssize_t>(garbage.size()));
  }  // the server thread ends by itself
  Client client(std::move(pair.client));
  Any answer;
  try {
    client.call("S", "M", Any(), answer, 10s);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
}

TEST(Status, ContainerdSeesTheCodesItKnows) {
  EXPECT_EQ(grpc_code(Error(ErrorCode::kNotFound, "")), GrpcCode::kNotFound);
  EXPECT_EQ(grpc_code(Error(ErrorCode::kConflict, "")), GrpcCode::kFailedPrecondition);
  EXPECT_EQ(grpc_code(AlreadyExists("")), GrpcCode::kAlreadyExists);
  EXPECT_EQ(grpc_code(Error(ErrorCode::kNotSupported, "")), GrpcCode::kUnimplemented);
}

}  // namespace
}  // namespace bulkhead::ttrpc
