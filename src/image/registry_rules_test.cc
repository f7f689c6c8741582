// What registries may make us do: challenges, URLs, hosts, error words; and Dockerfile instructions.
#include <gtest/gtest.h>

#include "image/dockerfile_change.h"
#include "image/registry_auth.h"
#include "image/registry_errors.h"
#include "image/registry_host.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

TEST(RegistryRulesTest, Challenges) {
  auto challenges = parse_challenges(
      R"(Bearer realm="https://auth.example/token?a=b,c",service="reg \"x\"", scope="repository:a/b:pull", Basic realm=simple)");
  ASSERT_EQ(challenges.size(), 2U);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameters["realm"], "https://auth.example/token?a=b,c");
  EXPECT_EQ(challenges[0].parameters["service"], "reg \"x\"");
  EXPECT_EQ(challenges[1].parameters["realm"], "simple");
  for (const char* odd : {"", ",,,", "=x", "Bearer realm=\"unclosed", "Bearer realm", "\xff\xff"}) {
    parse_challenges(odd);
  }
  EXPECT_EQ(basic_authorization("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST(RegistryRulesTest, Hosts) {
  for (const char* host : {"localhost", "localhost:5000", "127.0.0.1:5000", "127.3.2.1", "[::1]:80", "::1"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host : {"localhost.evil.com", "127.0.0.1.evil.com", "128.0.0.1", "example.com", "0x7f.1", "[::2]:80"}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
  RegistryPolicy policy({"reg.lan:5000", "10.1.0.0/16", "fd00::/8"}, "/nowhere");
  EXPECT_TRUE(policy.is_insecure("reg.lan:5000"));
  EXPECT_FALSE(policy.is_insecure("reg.lan"));
  EXPECT_TRUE(policy.is_insecure("10.1.2.3:80"));
  EXPECT_FALSE(policy.is_insecure("10.2.2.3:80"));
  EXPECT_TRUE(policy.is_insecure("[fd12::1]:80"));
  EXPECT_THROW(RegistryPolicy({"http://x"}, ""), Error);
}

TEST(RegistryRulesTest, Urls) {
  EXPECT_EQ(split_url("https://a.example/x").host_port, "a.example");
  EXPECT_EQ(split_url("https://a.example/x").origin, split_url("https://a.example:443/y").origin);
  EXPECT_NE(split_url("https://a.example/x").origin, split_url("http://a.example/x").origin);
  EXPECT_EQ(split_url("https://user@a.example/").host_port, "");
  EXPECT_EQ(split_url("file:///etc/passwd").host_port, "");
  EXPECT_EQ(resolve_url("https://a.example/v2/x", "/y"), "https://a.example/y");
  EXPECT_EQ(url_encode("a b/c"), "a%20b%2Fc");
}

TEST(RegistryRulesTest, ErrorsInDockersWords) {
  oci::Reference reference = oci::parse_reference("127.0.0.1:5000/app:1");
  auto message = [&](int status, const std::string& body) {
    try {
      throw_manifest_error(reference, "u", {.head = {.status = status, .headers = {}}, .body = body});
    } catch (const Error& error) {
      return error.message();
    }
  };
  EXPECT_EQ(message(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})"),
            "manifest for 127.0.0.1:5000/app:1 not found: manifest unknown: manifest unknown");
  EXPECT_EQ(message(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})"),
            "pull access denied for 127.0.0.1:5000/app, repository does not exist or may require 'docker login': unauthorized: "
            "authentication required");
  EXPECT_EQ(message(500, "<html>"), "Get \"u\": received unexpected HTTP status: 500");
}

TEST(DockerfileChangeTest, Instructions) {
  ProcessDefaults config;
  for (const char* change :
       {R"(CMD ["bash","-l"])", "ENTRYPOINT run it", "env A=1 B=\"two words\" C='x y'", "ENV A 3", "USER me", "WORKDIR /srv",
        "WORKDIR app", "EXPOSE 80 53/udp 90-91", R"(VOLUME ["/a b"])", "VOLUME /c /d", "LABEL k=v \"l m\"=n",
        "STOPSIGNAL SIGINT", "ONBUILD RUN x", "HEALTHCHECK --interval=1m30s --retries=3 CMD curl x"}) {
    apply_change(change, config);
  }
  EXPECT_EQ(config.cmd, (std::vector<std::string>{"bash", "-l"}));
  EXPECT_EQ(config.entrypoint, (std::vector<std::string>{"/bin/sh", "-c", "run it"}));
  EXPECT_EQ(config.env, (std::vector<std::string>{"A=3", "B=two words", "C=x y"}));
  EXPECT_EQ(config.working_directory, "/srv/app");
  EXPECT_EQ(config.exposed_ports, (std::vector<std::string>{"53/udp", "80/tcp", "90/tcp", "91/tcp"}));
  EXPECT_EQ(config.volumes, (std::vector<std::string>{"/a b", "/c", "/d"}));
  EXPECT_EQ(config.labels["l m"], "n");
  EXPECT_EQ(config.healthcheck_json, R"({"Interval":90000000000,"Retries":3,"Test":["CMD-SHELL","curl x"]})");
  for (const char* bad : {"RUN x", "", "ENV", "ENV A", "ENV A=1 B", "EXPOSE x", "EXPOSE 70000", "LABEL \"a", "HEALTHCHECK x",
                          "HEALTHCHECK --interval=x CMD y"}) {
    EXPECT_THROW(apply_change(bad, config), Error) << bad;
  }
}

}  // namespace
}  // namespace bulkhead::image
