#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/container_name.h"
#include "api/credentials.h"
#include "api/errors.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/phrases.h"
#include "api/routes.h"
#include "api/timestamps.h"
#include "http/server_connection.h"

namespace bulkhead::api {
namespace {
using namespace std::chrono_literals;

std::string message_thrown_by(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(RoutesTest, FindsHandlers) {
  EXPECT_EQ(find_route("GET", "/containers/json").handler, containers_list);
  EXPECT_EQ(find_route("GET", "/containers/abc/json").handler, containers_inspect);
  EXPECT_EQ(find_route("GET", "/containers/abc/json").name, "abc");
  EXPECT_EQ(find_route("GET", "/images/json").handler, images_list);
  EXPECT_EQ(find_route("GET", "/images/127.0.0.1:5000/a/b:1/json").name, "127.0.0.1:5000/a/b:1");
  EXPECT_EQ(find_route("DELETE", "/images/a/b").handler, images_remove);
  EXPECT_EQ(find_route("HEAD", "/_ping").handler, system_ping);
}

TEST(RoutesTest, FindsNoHandlerForOtherPathsAndMethods) {
  for (const char* path : {"/", "", "/containers", "/containers//json", "/containers/a/b/json", "/containers/json/",
                           "/images//json", "/containers/a/../json", "/_ping/"}) {
    EXPECT_EQ(find_route("GET", path).handler, nullptr) << path;
  }
  EXPECT_EQ(find_route("PUT", "/containers/json").handler, nullptr);
  EXPECT_EQ(find_route("HEAD", "/containers/json").handler, nullptr);
}

TEST(RoutesTest, SplitsVersions) {
  EXPECT_EQ(split_version("/v1.41/info").minor, 41);
  EXPECT_EQ(split_version("/v1.41/info").path, "/info");
  EXPECT_EQ(split_version("/info").minor, kNewestMinor);
  EXPECT_EQ(split_version("/version").path, "/version");
  EXPECT_EQ(split_version("/volumes/1.2").path, "/volumes/1.2");
  EXPECT_EQ(message_thrown_by([] { split_version("/v1.99/info"); }),
            "client version 1.99 is too new. Maximum supported API version is 1.50");
  EXPECT_THAT(message_thrown_by([] { split_version("/v1.12/info"); }), testing::StartsWith("client version 1.12 is too old."));
  EXPECT_THROW(split_version("/v2.0/info"), Error);
  EXPECT_THROW(split_version("/v1.99999999999999999999/info"), Error);
}

TEST(FiltersTest, ReadsBothShapes) {
  EXPECT_EQ(Filters::parse(R"({"status":{"running":true,"paused":false}})").values("status"),
            std::vector<std::string>{"running"});
  EXPECT_EQ(Filters::parse(R"({"status":["a","b"]})").values("status").size(), 2U);
  EXPECT_FALSE(Filters::parse("").has("status"));
}

TEST(FiltersTest, RefusesOtherShapes) {
  for (const char* text : {"{", "[]", "1", R"({"a":1})", R"({"a":{"b":1}})", R"({"a":[1]})", R"({"a":{"b":{}}})"}) {
    EXPECT_THROW(Filters::parse(text), Error) << text;
  }
  EXPECT_THROW(Filters::parse("{\"a\":[\"" + std::string(100'000, 'x') + "\"]}"), Error);
  EXPECT_EQ(message_thrown_by([] { Filters::parse(R"({"foo":["a"]})").accept_only({"bar"}); }), "invalid filter 'foo'");
}

TEST(FiltersTest, Matches) {
  Filters filters = Filters::parse(R"({"name":["^we"],"label":["a","b=1"],"id":["abc"],"dangling":["1"],"bad":["maybe"]})");
  EXPECT_TRUE(filters.matches_pattern("name", "web"));
  EXPECT_FALSE(filters.matches_pattern("name", "nowe"));
  EXPECT_TRUE(filters.matches_pattern("other", "nowe"));
  EXPECT_TRUE(filters.matches_labels("label", {{"a", "x"}, {"b", "1"}}));
  EXPECT_FALSE(filters.matches_labels("label", {{"a", "x"}, {"b", "2"}}));
  EXPECT_TRUE(filters.matches_prefix("id", "abcdef"));
  EXPECT_TRUE(filters.flag("dangling", false));
  EXPECT_EQ(message_thrown_by([&] { filters.flag("bad", false); }), "invalid filter 'bad=[maybe]'");
}

TEST(FiltersTest, DoesNotRunHostilePatterns) {
  std::string nested = std::string(100, '(') + std::string(100, ')');
  for (const std::string& pattern :
       {std::string("(a*)*\\\\1"), nested, std::string(300, 'a'), std::string("a{1,30000}"), std::string("[")}) {
    EXPECT_FALSE(Filters::parse("{\"name\":[\"" + pattern + "\"]}").matches_pattern("name", std::string(40, 'a'))) << pattern;
  }
}

TEST(PhrasesTest, SaysDurationsAsDocker) {
  EXPECT_EQ(human_duration(-5s), "Less than a second");
  EXPECT_EQ(human_duration(450ms), "Less than a second");
  EXPECT_EQ(human_duration(1s), "1 second");
  EXPECT_EQ(human_duration(59s), "59 seconds");
  EXPECT_EQ(human_duration(60s), "About a minute");
  EXPECT_EQ(human_duration(3min), "3 minutes");
  EXPECT_EQ(human_duration(60min), "About an hour");
  EXPECT_EQ(human_duration(89min), "About an hour");
  EXPECT_EQ(human_duration(90min), "2 hours");
  EXPECT_EQ(human_duration(47h), "47 hours");
  EXPECT_EQ(human_duration(48h), "2 days");
  EXPECT_EQ(human_duration(24h * 14), "2 weeks");
  EXPECT_EQ(human_duration(24h * 60), "2 months");
  EXPECT_EQ(human_duration(24h * 365 * 2), "2 years");
}

TEST(PhrasesTest, SaysStates) {
  TimePoint time = now();
  engine::Container container;
  EXPECT_EQ(status_phrase(container, time), "Created");
  container.status = engine::Status::kPaused;
  container.started_at = time - 5s;
  EXPECT_EQ(status_phrase(container, time), "Up 5 seconds (Paused)");
  container.status = engine::Status::kExited;
  container.finished_at = time - 3min;
  container.exit_code = 137;
  EXPECT_EQ(status_phrase(container, time), "Exited (137) 3 minutes ago");
  container.status = engine::Status::kRestarting;
  EXPECT_EQ(status_phrase(container, time), "Restarting (137) 3 minutes ago");
  container.status = engine::Status::kStarting;
  EXPECT_EQ(status_phrase(container, time), "Created");
  container.status_before_start = engine::Status::kExited;
  EXPECT_EQ(status_phrase(container, time), "Exited (137) 3 minutes ago");
}

TEST(PhrasesTest, QuotesCommands) {
  EXPECT_EQ(command_line("sh", {"-c", "echo 'a b'"}), "sh -c 'echo '\\''a b'\\'''");
  EXPECT_EQ(command_line("true", {}), "true");
  EXPECT_EQ(command_line("x", {""}), "x ''");
}

TEST(PhrasesTest, DrawsProgress) {
  EXPECT_EQ(human_size(12'345'678), "12.35MB");
  EXPECT_EQ(human_size(999), "999B");
  EXPECT_EQ(progress_bar(0, 100).substr(0, 3), "[> ");
  EXPECT_EQ(progress_bar(100, 100), "[" + std::string(50, '=') + "]  100B/100B");
  EXPECT_EQ(progress_bar(300, 100), "[" + std::string(50, '=') + "]  300B/100B");
  EXPECT_EQ(progress_bar(5, 0), "5B");
}

TEST(TimestampsTest, ReadsInstants) {
  TimePoint time{1'000'000s};
  EXPECT_EQ(parse_instant("1700000000.5", "since", time), TimePoint(1'700'000'000'500ms));
  EXPECT_EQ(parse_instant("1700000000.000000001", "since", time), TimePoint(1'700'000'000s + 1ns));
  EXPECT_EQ(parse_instant("1h30m", "since", time), time - 90min);
  EXPECT_EQ(parse_instant("1.5s", "since", time), time - 1500ms);
  EXPECT_EQ(parse_instant("1970-01-02", "since", time), TimePoint(24h));
  EXPECT_EQ(parse_instant("1970-01-01T00:00:01+00:00", "since", time), TimePoint(1s));
  EXPECT_EQ(parse_instant("0", "since", time), std::nullopt);
  EXPECT_EQ(parse_instant("32472144000.000000000", "since", time), TimePoint(9'000'000'000s));  // the year 2999
  EXPECT_EQ(parse_instant("9999-12-31T00:00:00Z", "since", time), TimePoint(9'000'000'000s));
  EXPECT_EQ(parse_instant("0001-01-01T00:00:00Z", "since", time), TimePoint(-9'000'000'000s));
  for (const char* text : {"x", "10x", "1h2", "-5m", "99999999999999999999", "1e9", "now"}) {
    EXPECT_THROW(parse_instant(text, "since", time), Error) << text;
  }
}

TEST(NameTest, TakesDockersNames) {
  EXPECT_EQ(checked_name("/web_1.a-b"), "web_1.a-b");
  for (const char* name : {"", "/", "a", "-a", "a/b", "a b", "\xc3\xa4z", "..", "a\n"}) {
    EXPECT_THROW(checked_name(name), Error) << name;
  }
  EXPECT_EQ(message_thrown_by([] { checked_name("a b"); }),
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
}

TEST(CredentialsTest, ReadsTheHeader) {
  // {"username":"u","password":"p?>"} in both alphabets
  auto credentials = parse_registry_auth("eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA_PiJ9");
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->username, "u");
  EXPECT_EQ(credentials->password, "p?>");
  EXPECT_TRUE(parse_registry_auth("eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA/PiJ9"));
  for (const char* header : {"", "e30=", "!!!", "bnVsbA==", "W10="}) {
    EXPECT_FALSE(parse_registry_auth(header)) << header;
  }
}

TEST(ErrorsTest, GivesDockersExitCodesToTheClient) {
  EXPECT_EQ(message_of(Error(ErrorCode::kCommandNotFound, "exec: \"x\"")), "exec: \"x\": executable file not found");
  EXPECT_EQ(message_of(Error(ErrorCode::kCannotExecute, "exec \"x\": is a directory")),
            "exec \"x\": is a directory: permission denied");
  EXPECT_EQ(status_of(http::StatusError(413, "x")), 413);
  EXPECT_EQ(status_of(Error(ErrorCode::kNotFound, "x")), 404);
}

}  // namespace
}  // namespace bulkhead::api
