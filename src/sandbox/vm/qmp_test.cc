#include "sandbox/vm/qmp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::chrono::milliseconds kSoon(50);
constexpr const char* kGreeting = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n{\"return\": {}}\r\n";

struct Pair {
  Pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  UniqueFd ours, theirs;
};

TEST(QmpTest, AnswersPassEventsBy) {
  Pair pair;
  write_all(pair.theirs.get(), kGreeting);
  Qmp qmp(std::move(pair.ours), kSoon);
  write_all(
      pair.theirs.get(),
      "{\"event\": \"STOP\"}\n{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"guest-reset\"}}\n{\"return\": {\"a\": 1}}\n");
  EXPECT_EQ(qmp.execute("query-x").at("a"), 1);
  EXPECT_EQ(qmp.shutdown_reason(), "guest-reset");
}

TEST(QmpTest, ErrorsHaveTheirWords) {
  Pair pair;
  write_all(pair.theirs.get(), kGreeting);
  Qmp qmp(std::move(pair.ours), kSoon);
  write_all(pair.theirs.get(), "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such node\"}}\n");
  EXPECT_THAT([&] { qmp.execute("blockdev-del"); }, ThrowsMessage<Error>(HasSubstr("refused 'blockdev-del': no such node")));
  write_all(pair.theirs.get(), "{\"error\": 7}\n");
  EXPECT_THROW(qmp.execute("x"), Error);
}

TEST(QmpTest, SilenceHasADeadlineAndAnEnd) {
  Pair pair;
  write_all(pair.theirs.get(), kGreeting);
  Qmp qmp(std::move(pair.ours), kSoon);
  EXPECT_THAT([&] { qmp.execute("stop"); }, ThrowsMessage<Error>(HasSubstr("doesn't answer")));
  pair.theirs.reset();
  EXPECT_THROW(qmp.execute("stop"), Error);
}

TEST(QmpReaderTest, RefusesWhatIsNoMessage) {
  for (const char* line : {"nonsense\n", "[1]\n", "7\n", "\n", "{\"a\":\n"}) {
    QmpReader reader;
    reader.feed(line);
    EXPECT_THROW(reader.next(), Error) << line;
  }
  QmpReader endless;
  EXPECT_THROW(endless.feed(std::string((1 << 20) + 1, ' ')), Error);
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
