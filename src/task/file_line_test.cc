#include "task/file_line.h"

#include <gtest/gtest.h>

#include "task/statistics.h"

namespace bulkhead::task {
namespace {

TEST(FileLine, RequestsComeBackByteByByte) {
  archive::FileRequest request{.kind = archive::FileRequest::Kind::kUnpack,
                               .path = "/a\n\xff\x01/b/.",
                               .overwrite = archive::Overwrite::kSameKind,
                               .owner = "user:group"};
  std::string line = to_line(request);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  auto found = parse_file_request(line);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, request.kind);
  EXPECT_EQ(found->path, request.path);
  EXPECT_EQ(found->overwrite, request.overwrite);
  EXPECT_EQ(found->owner, request.owner);
}

TEST(FileLine, TheLongestPathFits) {
  archive::FileRequest request{.path = "/" + std::string(archive::kMaxRequestPath - 1, '\xff'), .owner = {}};
  std::string line = to_line(request);
  EXPECT_LE(line.size(), kMaxFileLine);
  EXPECT_EQ(parse_file_request(line)->path, request.path);
  archive::PathStat found{.name = std::string(4096, '\xff'), .mtime = {}, .link_target = std::string(4096, '\xff')};
  EXPECT_EQ(parse_file_answer(file_work_done(found)).link_target, found.link_target);
}

TEST(FileLine, OtherLinesAreForOthers) {
  EXPECT_FALSE(parse_file_request(R"({"exec_id":"","out":true})"));
  EXPECT_FALSE(parse_file_request("no json"));
  EXPECT_THROW(parse_file_request(R"({"files":9,"path":[47],"same_kind":false,"owner":[]})"), Error);
  EXPECT_THROW(parse_file_request(R"({"files":0,"path":"text","same_kind":false,"owner":[]})"), Error);
}

TEST(FileLine, ErrorsComeBackWithTheirCode) {
  try {
    parse_file_answer(file_work_failed(Error(ErrorCode::kPermissionDenied, "no")));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPermissionDenied);
    EXPECT_EQ(error.message(), "no");
  }
  for (const char* line : {"", "[]", R"({"ok":true})", R"({"ok":1})", R"({"ok":true,"name":"x"})"}) {
    EXPECT_THROW(parse_file_answer(line), Error) << line;
  }
}

TEST(Statistics, NeedEveryName) {
  EXPECT_THROW(parse_statistics("{}"), Error);
  EXPECT_THROW(parse_statistics("nothing"), Error);
}

}  // namespace
}  // namespace bulkhead::task
