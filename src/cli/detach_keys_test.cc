#include "cli/detach_keys.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

TEST(DetachKeys, ReadsDockersNotation) {
  EXPECT_EQ(parse_detach_keys("ctrl-p,ctrl-q"), "\x10\x11");
  EXPECT_EQ(parse_detach_keys("a,ctrl-],x"), "a\x1dx");
  EXPECT_EQ(parse_detach_keys("ctrl-@"), std::string(1, '\0'));
  EXPECT_EQ(parse_detach_keys(""), "");
}

TEST(DetachKeys, RefusesWhatIsNoKey) {
  for (const char* text : {"ctrl-", "ctrl-pp", "ctrl-1", "ctrl-A", "shift-a", "a,,b", "a,", "ab"}) {
    EXPECT_THROW(parse_detach_keys(text), Error) << text;
  }
}

TEST(DetachWatcher, SeesTheSequenceAcrossPieces) {
  DetachWatcher watcher("");
  watcher.feed("ls\n\x10");
  EXPECT_FALSE(watcher.seen());
  watcher.feed("\x11");
  EXPECT_TRUE(watcher.seen());
}

TEST(DetachWatcher, IsNotFooledByParts) {
  DetachWatcher watcher("a,b");
  watcher.feed("a b ba");
  EXPECT_FALSE(watcher.seen());
  watcher.feed("ab");
  EXPECT_TRUE(watcher.seen());
}

}  // namespace
}  // namespace bulkhead::cli
