#include "shim/stdio_uri.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::shim {
namespace {

TEST(StreamUri, KnowsItsKinds) {
  EXPECT_EQ(parse_stream_uri("").target, StreamTarget::kNothing);
  EXPECT_EQ(parse_stream_uri("attach:").target, StreamTarget::kAttach);
  EXPECT_EQ(parse_stream_uri("/run/fifo/a-stdout").target, StreamTarget::kFifo);
  EXPECT_EQ(parse_stream_uri("fifo:///run/x%20y").path, "/run/x y");
  StreamUri log = parse_stream_uri("json-file:///var/lib/c-json.log?max-size=1024&max-file=3");
  EXPECT_EQ(log.target, StreamTarget::kJsonFile);
  EXPECT_EQ(log.path, "/var/lib/c-json.log");
  EXPECT_EQ(log.max_size, 1024U);
  EXPECT_EQ(log.max_file, 3U);
  StreamUri plain = parse_stream_uri("json-file:///a");
  EXPECT_EQ(plain.max_size, 0U);
  EXPECT_EQ(plain.max_file, 1U);
}

TEST(StreamUri, RefusesWhatItCantBe) {
  for (const char* text : {"relative", "json-file://relative", "json-file:///a?max-size=0", "json-file:///a?max-size=-1",
                           "json-file:///a?max-size=1k", "json-file:///a?max-file=99999", "json-file:///a?colour=red",
                           "json-file:///a?max-size=99999999999999999999", "fifo:///a%0", "fifo:///a%zz", "fifo:///a%00"}) {
    EXPECT_THROW(parse_stream_uri(text), Error) << text;
  }
}

TEST(StreamUri, OtherSchemesAreNotSupported) {
  try {
    parse_stream_uri("binary:///usr/bin/logger?x=y");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotSupported);
  }
}

}  // namespace
}  // namespace bulkhead::shim
