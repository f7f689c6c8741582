#include "ttrpc/frame.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::ttrpc {
namespace {

using namespace std::string_literals;

TEST(Frame, IsBytesOfTheProtocol) {
  EXPECT_EQ(encode_frame(1, FrameType::kRequest, 0, "ab"), "\0\0\0\2\0\0\0\1\1\0ab"s);
  EXPECT_EQ(encode_frame(0x01020304, FrameType::kResponse, 2, ""), "\0\0\0\0\1\2\3\4\2\2"s);
}

TEST(Frame, ArrivesByteByByte) {
  std::string stream = encode_frame(3, FrameType::kResponse, 0, "hello") + encode_frame(5, FrameType::kRequest, 1, "");
  FrameReader reader;
  std::vector<Frame> frames;
  for (char byte : stream) {
    reader.feed(std::string_view(&byte, 1));
    while (auto frame = reader.next()) {
      frames.push_back(*frame);
    }
  }
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].stream, 3U);
  EXPECT_EQ(frames[0].type, FrameType::kResponse);
  EXPECT_EQ(frames[0].data, "hello");
  EXPECT_EQ(frames[1].stream, 5U);
  EXPECT_EQ(frames[1].flags, 1);
  EXPECT_EQ(reader.buffered(), 0U);
}

TEST(Frame, HoldsBackATruncatedOne) {
  FrameReader reader;
  reader.feed(encode_frame(1, FrameType::kRequest, 0, "hello").substr(0, 14));
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.buffered(), 14U);
}

TEST(Frame, RefusesHugeLengthsBeforeTheyArrive) {
  for (const std::string& length : {"\x00\x40\x00\x01"s, "\xff\xff\xff\xff"s, "\x80\0\0\0"s}) {
    FrameReader reader;
    reader.feed(length + "\0\0\0\1\1\0"s);
    EXPECT_THROW(reader.next(), Error);
  }
  EXPECT_THROW(encode_frame(1, FrameType::kRequest, 0, std::string(kMaxData + 1, 'x')), Error);
}

TEST(Frame, TakesTheLargest) {
  FrameReader reader;
  reader.feed(encode_frame(1, FrameType::kRequest, 0, std::string(kMaxData, 'x')));
  EXPECT_EQ(reader.next()->data.size(), kMaxData);
}

TEST(Frame, RefusesUnknownTypes) {
  for (char type : {'\0', '\4', '\xff'}) {
    FrameReader reader;
    reader.feed("\0\0\0\0\0\0\0\1"s + type + '\0');
    EXPECT_THROW(reader.next(), Error);
  }
}

}  // namespace
}  // namespace bulkhead::ttrpc
