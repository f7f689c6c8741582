#include "cli/queries.h"

#include <gtest/gtest.h>

#include "cli/error_text.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

TEST(Queries, SplitReferences) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(split_reference("busybox"), Pair("busybox", ""));
  EXPECT_EQ(split_reference("busybox:1"), Pair("busybox", "1"));
  EXPECT_EQ(split_reference("127.0.0.1:5000/a/b"), Pair("127.0.0.1:5000/a/b", ""));
  EXPECT_EQ(split_reference("127.0.0.1:5000/a/b:12"), Pair("127.0.0.1:5000/a/b", "12"));
  EXPECT_EQ(split_reference("a/b@sha256:ab"), Pair("a/b", "sha256:ab"));
}

TEST(Queries, NamesCannotLeaveTheirPlaceInAPath) {
  EXPECT_EQ(container_path("../images/x?force=1", "json"), "/containers/..%2Fimages%2Fx%3Fforce%3D1/json");
  EXPECT_EQ(query_of({{"a", "b c"}, {"empty", ""}, {"on", when(true)}, {"off", when(false)}}).text(), "a=b%20c&on=1");
}

TEST(Queries, FiltersAreMapsOfSets) {
  EXPECT_EQ(filters_json({}), "");
  EXPECT_EQ(filters_json({"status=running", "status=exited", "label=a=b"}),
            R"({"label":{"a=b":true},"status":{"exited":true,"running":true}})");
  EXPECT_THROW(filters_json({"status"}), Error);
}

TEST(Queries, ShortIds) {
  EXPECT_EQ(short_id("sha256:0123456789abcdef"), "0123456789ab");
  EXPECT_EQ(short_id("0123"), "0123");
}

TEST(ErrorText, IsOneLineWithAWayOut) {
  EXPECT_EQ(error_text({ErrorCode::kNotFound, "No such container: x\n"}, "logs"),
            "No such container: x; 'bulkhead ps -a' lists them");
  EXPECT_EQ(error_text({ErrorCode::kInternal, "a\n\n\tb\x1b[31m"}, "ps"), "a b?[31m");
  EXPECT_EQ(error_text({ErrorCode::kInvalidArgument, "bad"}, "run"), "bad; see 'bulkhead run --help'");
}

TEST(ErrorText, StartErrorsHaveDockersExitCodes) {
  EXPECT_EQ(exit_code_of_start_error({ErrorCode::kInvalidArgument, "exec: \"x\": executable file not found in $PATH"}), 127);
  EXPECT_EQ(exit_code_of_start_error({ErrorCode::kInvalidArgument, "exec: \"/etc\": permission denied"}), 126);
  EXPECT_EQ(exit_code_of_start_error({ErrorCode::kInternal, "no space left"}), 125);
}

}  // namespace
}  // namespace bulkhead::cli
