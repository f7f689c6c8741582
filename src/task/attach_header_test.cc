#include "task/attach_header.h"

#include <gtest/gtest.h>

namespace bulkhead::task {
namespace {

TEST(AttachHeader, ComesBackAsItWas) {
  std::string line = to_line({.exec_id = "a\"b", .in = true, .out = false, .err = true, .close_stdin_at_end = true});
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  AttachHeader header = parse_attach_header(line);
  EXPECT_EQ(header.exec_id, "a\"b");
  EXPECT_TRUE(header.in && header.err && header.close_stdin_at_end);
  EXPECT_FALSE(header.out);
}

TEST(AttachHeader, RefusesOtherThings) {
  for (const std::string& line : {std::string(""), std::string("x"), std::string("[]"), std::string("{\"in\":1}"),
                                  std::string("{\"exec_id\":{}}"), std::string(kMaxAttachLine + 1, ' ')}) {
    EXPECT_THROW(parse_attach_header(line), Error) << line;
  }
}

TEST(AttachHeader, AnAnswerCarriesTheError) {
  EXPECT_NO_THROW(check_attach_answer(attach_accepted()));
  try {
    check_attach_answer(attach_refused(Error(ErrorCode::kConflict, "it has ended \xff")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
  }
  EXPECT_THROW(check_attach_answer("{}"), Error);
}

}  // namespace
}  // namespace bulkhead::task
