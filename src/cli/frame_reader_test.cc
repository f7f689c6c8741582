#include "cli/frame_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

std::string frame(http::StreamType type, const std::string& text) {
  auto header = http::frame_header(type, static_cast<uint32_t>(text.size()));
  return std::string(header.begin(), header.end()) + text;
}

struct Streams {
  std::string out, err;
  FrameReader reader{
      [this](http::StreamType type, std::string_view bytes) { (type == http::StreamType::kErr ? err : out).append(bytes); }};
};

const std::string kBytes = frame(http::StreamType::kOut, "hello ") + frame(http::StreamType::kErr, "oh") +
                           frame(http::StreamType::kOut, "") + frame(http::StreamType::kOut, "world");

TEST(FrameReader, TakesStreamsApartHoweverTheBytesCome) {
  for (size_t piece = 1; piece <= kBytes.size(); ++piece) {
    Streams streams;
    for (size_t start = 0; start < kBytes.size(); start += piece) {
      streams.reader.feed(std::string_view(kBytes).substr(start, piece));
    }
    streams.reader.finish();
    EXPECT_EQ(streams.out, "hello world");
    EXPECT_EQ(streams.err, "oh");
  }
}

TEST(FrameReader, RefusesWhatIsNoFrame) {
  Streams streams;
  EXPECT_THROW(streams.reader.feed("GET / HTTP/1.1"), Error);
}

TEST(FrameReader, NoticesABreakInsideAFrame) {
  for (size_t size : {3UL, 8UL, 10UL}) {
    Streams streams;
    streams.reader.feed(std::string_view(kBytes).substr(0, size));
    EXPECT_THROW(streams.reader.finish(), Error) << size;
  }
}

}  // namespace
}  // namespace bulkhead::cli
