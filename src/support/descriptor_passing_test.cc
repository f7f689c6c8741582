#include "support/descriptor_passing.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"

namespace bulkhead {
namespace {

class DescriptorPassingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    sender_.reset(ends[0]);
    receiver_.reset(ends[1]);
  }
  ReceivedMessage receive(size_t most, size_t room = 100) {
    text_.resize(room);
    ReceivedMessage received = receive_with_descriptors(receiver_.get(), text_, most);
    text_.resize(received.size > 0 ? static_cast<size_t>(received.size) : 0);
    return received;
  }

  UniqueFd sender_, receiver_;
  std::string text_;
};

TEST_F(DescriptorPassingTest, BytesAndDescriptorsArriveTogether) {
  Pipe first;
  Pipe second;
  EXPECT_EQ(send_with_descriptors(sender_.get(), "two", std::array{first.write.get(), second.write.get()}), 3);
  ReceivedMessage received = receive(2);
  EXPECT_EQ(text_, "two");
  EXPECT_TRUE(received.is_whole);
  ASSERT_EQ(received.descriptors.size(), 2U);
  write_all(received.descriptors[1].get(), "x");
  received.descriptors.clear();
  second.write.reset();
  EXPECT_EQ(read_all(second.read.get()), "x");
  EXPECT_EQ(send_with_descriptors(sender_.get(), "none", {}), 4);
  EXPECT_TRUE(receive(2).descriptors.empty());
}

TEST_F(DescriptorPassingTest, WhatHasNoRoomIsToldAndLeavesNothing) {
  Pipe pipe;
  int end = pipe.write.get();
  EXPECT_EQ(send_with_descriptors(sender_.get(), "three", std::array{end, end, end, end}), 5);
  EXPECT_FALSE(receive(1).is_whole);
  EXPECT_EQ(send_with_descriptors(sender_.get(), "longer", {}), 6);
  EXPECT_FALSE(receive(1, 3).is_whole);
  pipe.write.reset();
  EXPECT_EQ(read_all(pipe.read.get()), "");
}

TEST_F(DescriptorPassingTest, FailuresAreThoseOfTheSystemCalls) {
  std::array<int, kMostDescriptors + 1> many{};
  EXPECT_THROW(send_with_descriptors(sender_.get(), "x", many), Error);
  receiver_.reset();
  EXPECT_EQ(send_with_descriptors(sender_.get(), "x", {}), -1);  // and no SIGPIPE
  EXPECT_EQ(errno, EPIPE);
}

}  // namespace
}  // namespace bulkhead
