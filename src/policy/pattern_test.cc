#include "policy/pattern.h"

#include <gtest/gtest.h>

#include "policy/image_pattern.h"
#include "support/error.h"

namespace bulkhead::policy {
namespace {

struct Case {
  const char* pattern;
  const char* text;
  bool matches;
};

TEST(Pattern, TextIsMatchedAsAWhole) {
  for (const Case& each : std::initializer_list<Case>{{"a", "a", true},
                                                      {"a", "ab", false},
                                                      {"a", "", false},
                                                      {"*", "", true},
                                                      {"*", "a/b", true},
                                                      {"a*", "a", true},
                                                      {"a*c", "abbc", true},
                                                      {"a*c", "abbd", false},
                                                      {"a*a", "a", false},
                                                      {"*a*b*", "xxaxxbxx", true},
                                                      {"*a*b*", "xxbxxaxx", false},
                                                      {"?", "a", true},
                                                      {"?", "", false},
                                                      {"a??", "abc", true},
                                                      {"a??", "ab", false},
                                                      {"*?", "", false},
                                                      {"*?", "x", true},
                                                      {"a*?b", "ab", false},
                                                      {"a*?b", "axb", true}}) {
    EXPECT_EQ(Pattern(each.pattern).matches(each.text), each.matches) << each.pattern << " " << each.text;
  }
}

TEST(Pattern, InAPathOneStarEndsAtASlash) {
  for (const Case& each : std::initializer_list<Case>{{"a/*", "a/b", true},
                                                      {"a/*", "a/b/c", false},
                                                      {"a/**", "a/b/c", true},
                                                      {"a/**", "a/", true},
                                                      {"a/**", "a", false},
                                                      {"**/c", "a/b/c", true},
                                                      {"*/c", "a/b/c", false},
                                                      {"**/*x/c", "a/bx/c", true},
                                                      {"**/*x/c", "a/bx/d/c", false},
                                                      {"a?b", "a/b", false},
                                                      {"*", "a", true}}) {
    EXPECT_EQ(Pattern(each.pattern, Wildcards::kPath).matches(each.text), each.matches) << each.pattern << " " << each.text;
  }
}

TEST(Pattern, ManyStarsTakeNoLongerThanTheLengthsMultiplied) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) {
    pattern += "a*";
  }
  EXPECT_FALSE(Pattern(pattern + "b").matches(std::string(2000, 'a')));
  EXPECT_FALSE(Pattern(pattern + "b*").matches(std::string(2000, 'a')));
}

TEST(ImagePattern, IsComparedWithTheFullName) {
  for (const Case& each : std::initializer_list<Case>{
           {"debian", "debian", true},
           {"debian", "docker.io/library/debian:12", true},
           {"debian", "debian@sha256:0000000000000000000000000000000000000000000000000000000000000000", true},
           {"debian", "acme/debian", false},
           {"debian", "127.0.0.1:5000/debian", false},
           {"deb*", "debian", true},
           {"acme/*", "acme/x", true},
           {"acme/*", "acme/x/y", false},
           {"acme/**", "acme/x/y", true},
           {"acme/*", "registry.acme/x", false},
           {"registry.acme/**", "registry.acme/x/y:1", true},
           {"registry.acme/**", "registry.acme:443/x", true},
           {"registry.acme/**", "Registry.ACME/x", true},
           {"registry.acme:443/**", "registry.acme/x", true},
           {"registry.acme/**", "registry.acme:5000/x", false},
           {"registry.acme:*/**", "registry.acme:5000/x", true},
           {"registry.acme/**", "evil.registry.acme/x", false},
           {"*.acme/**", "evil.acme/x", true},
           {"127.0.0.1:5000/**", "127.0.0.1:5000/debian:12", true},
           {"localhost/**", "localhost/debian", true},
           {"index.docker.io/library/*", "debian", true},
           {"*/app:1.*", "r.example/app:1.2", true},
           {"*/app:1.*", "r.example/app:2.1", false},
           {"app:latest", "app", true},
           {"app:1", "app", false},
           {"docker.io/**", "debian", true},
           {"docker.io/**", "a/b/c", true},
           {"*", "whatever/it:is", true},
           {"app@sha256:1*", "app@sha256:1111111111111111111111111111111111111111111111111111111111111111", true},
           {"app@sha256:2*", "app@sha256:1111111111111111111111111111111111111111111111111111111111111111", false}}) {
    EXPECT_EQ(ImagePattern(each.pattern).matches(oci::parse_reference(each.text)), each.matches)
        << each.pattern << " " << each.text;
  }
}

TEST(ImagePattern, ATagBesideADigestSaysNothing) {
  auto reference = oci::parse_reference("app:1@sha256:1111111111111111111111111111111111111111111111111111111111111111");
  EXPECT_FALSE(ImagePattern("app:1").matches(reference));
  EXPECT_TRUE(ImagePattern("app").matches(reference));
}

TEST(ImagePattern, WhatCouldNeverMatchIsRefused) {
  for (const char* text : {"", "/a", "a/", "a b", "Debian", "registry.acme/Team/*"}) {
    EXPECT_THROW(ImagePattern{text}, Error) << text;
  }
}

}  // namespace
}  // namespace bulkhead::policy
