#include "oci/reference.h"

#include <gtest/gtest.h>

#include <string>

#include "support/error.h"

namespace bulkhead::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

struct Case {
  std::string text, full, familiar;
};

TEST(ReferenceTest, NormalisesAsDockerDoes) {
  const Case cases[] = {
      {"debian", "docker.io/library/debian", "debian"},
      {"debian:12", "docker.io/library/debian:12", "debian:12"},
      {"library/debian:12", "docker.io/library/debian:12", "debian:12"},
      {"index.docker.io/debian", "docker.io/library/debian", "debian"},
      {"docker.io/user/app", "docker.io/user/app", "user/app"},
      {"user/app:v1.0", "docker.io/user/app:v1.0", "user/app:v1.0"},
      {"localhost/app", "localhost/app", "localhost/app"},
      {"localhost:5000/app:1", "localhost:5000/app:1", "localhost:5000/app:1"},
      {"127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t"},
      {"[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"},
      {"registry.example.com/app", "registry.example.com/app", "registry.example.com/app"},
      {"Host/app", "Host/app", "Host/app"},
      {"app@" + kDigest, "docker.io/library/app@" + kDigest, "app@" + kDigest},
      {"app:1@" + kDigest, "docker.io/library/app:1@" + kDigest, "app:1@" + kDigest},
      {"a__b/c--d/e.f", "docker.io/a__b/c--d/e.f", "a__b/c--d/e.f"},
  };
  for (const Case& item : cases) {
    Reference reference = parse_reference(item.text);
    EXPECT_EQ(reference.text(), item.full) << item.text;
    EXPECT_EQ(reference.familiar(), item.familiar) << item.text;
    EXPECT_EQ(parse_reference(reference.text()).text(), reference.text()) << item.text;
  }
}

TEST(ReferenceTest, RefusesInDockersWords) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "invalid reference format"},
      {"Debian", "invalid reference format: repository name must be lowercase"},
      {"user/App:1", "invalid reference format: repository name must be lowercase"},
      {":tag", "invalid reference format"},
      {"a:", "invalid reference format"},
      {"a//b", "invalid reference format"},
      {"/a", "invalid reference format"},
      {"a/", "invalid reference format"},
      {"-a", "invalid reference format"},
      {"a..b", "invalid reference format"},
      {"a___b", "invalid reference format"},
      {"../etc", "invalid reference format"},
      {"a b", "invalid reference format"},
      {"a:b c", "invalid reference format"},
      {"a@", "invalid reference format"},
      {"a@sha256:123", "invalid checksum digest length"},
      {"a@md5:" + std::string(32, 'a'), "unsupported digest algorithm"},
      {"host:99999999/a", "invalid reference format"},
      {"a:" + std::string(129, 't'), "invalid reference format"},
      {std::string(256, 'a'), "repository name must not be more than 255 characters"},
      {std::string(64, 'a'),
       "invalid repository name (" + std::string(64, 'a') + "), cannot specify 64-byte hexadecimal strings"},
  };
  for (const auto& [text, message] : cases) {
    try {
      parse_reference(text);
      ADD_FAILURE() << "accepted '" << text << "'";
    } catch (const Error& error) {
      EXPECT_EQ(error.message(), message) << text;
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << text;
    }
  }
}

TEST(ReferenceTest, DefaultTagOnlyWhereNothingIsSaid) {
  EXPECT_EQ(parse_reference("a").with_default_tag().familiar(), "a:latest");
  EXPECT_EQ(parse_reference("a:1").with_default_tag().familiar(), "a:1");
  EXPECT_EQ(parse_reference("a@" + kDigest).with_default_tag().familiar(), "a@" + kDigest);
}

}  // namespace
}  // namespace bulkhead::oci
