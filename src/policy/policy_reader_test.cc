#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "policy/policy.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::policy {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string mistake_in(const std::string& text) {
  try {
    Policy::parse(text, "p.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.message();
  }
  return "(no mistake)";
}

struct Mistake {
  const char* text;
  const char* place;  // line:column
  const char* says;
};

TEST(PolicyReader, EveryMistakeHasItsLineAndColumn) {
  for (const Mistake& each : std::initializer_list<Mistake>{
           {"", "1:1", "nothing"},
           {"version: 1\nrules: [\n", "3:1", "not YAML"},
           {"version: 1\n\tx: 1\n", "2:1", "not YAML"},
           {"- a\n", "1:1", "mapping"},
           {"version: 2\n", "1:10", "version: 1"},
           {"rules: []\n", "1:1", "version: 1"},
           {"version: 1\n", "1:1", "'rules'"},
           {"version: 1\nrules: []\n", "2:8", "at least one"},
           {"version: 1\nrules:\n- {match: any, allow: all}\nrule: x\n", "4:1", "no 'rule'"},
           {"version: 1\nversion: 1\n", "2:1", "line 1 already"},
           {"version: 1\nrules:\n- {match: any, allow: all, alow: all}\n", "3:28", "no 'alow'"},
           {"version: 1\nrules:\n- {match: any, alow: all}\n", "3:16", "no 'alow'"},
           {"version: 1\nrules:\n- {allow: all}\n", "3:3", "'match'"},
           {"version: 1\nrules:\n- {match: {}, allow: all}\n", "3:11", "match: any"},
           {"version: 1\nrules:\n- match:\n  allow: all\n", "3:3", "no value"},
           {"version: 1\nrules:\n- {match: any}\n", "3:3", "outcome"},
           {"version: 1\nrules:\n- {match: any, allow: all, deny: all}\n", "3:34", "one outcome"},
           {"version: 1\nrules:\n- {match: any, allow: vm}\n", "3:23", "'vm'"},
           {"version: 1\nrules:\n- {match: any, because: x, require: all}\n", "3:37", "one isolation"},
           {"version: 1\nrules:\n- {match: any, because: x, default: [process, hyperv]}\n", "3:37", "one isolation"},
           {"version: 1\nrules:\n- {match: any, deny: all}\n", "3:3", "because"},
           {"version: 1\nrules:\n- {match: any, require: hyperv}\n", "3:3", "because"},
           {"version: 1\nrules:\n- {match: any, factors: fear}\n", "3:25", "'dedicated kernel'"},
           {"version: 1\nrules:\n- {match: any, allow: all, factors: compliance}\n", "3:37", "thicker"},
           {"version: 1\nrules:\n- {match: {images: x}, allow: all}\n", "3:12", "no 'images'"},
           {"version: 1\nrules:\n- {match: {image: []}, allow: all}\n", "3:19", "at least one"},
           {"version: 1\nrules:\n- {match: {image: Debian}, allow: all}\n", "3:19", "lower case"},
           {"version: 1\nrules:\n- {match: {privileged: maybe}, allow: all}\n", "3:24", "true or false"},
           {"version: 1\nrules:\n- {match: {environment: prod}, allow: all}\n", "3:25", "production"},
           {"version: 1\nrules:\n- {match: {labels: x}, allow: all}\n", "3:20", "mapping"},
           {"version: 1\nrules:\n- {match: {host-mounts: [etc]}, allow: all}\n", "3:26", "absolute"},
           {"version: 1\nrules:\n- {match: {host-mounts: {just: [/etc]}}, allow: all}\n", "3:26", "only"},
           {"version: 1\nrules:\n- {match: {published-ports: [0]}, allow: all}\n", "3:30", "'0'"},
           {"version: 1\nrules:\n- {match: {published-ports: [70000]}, allow: all}\n", "3:30", "'70000'"},
           {"version: 1\nrules:\n- {match: {uid: root}, allow: all}\n", "3:17", "'root'"},
           {"version: 1\nrules:\n- {match: {added-capabilities: [NET_ROW]}, allow: all}\n", "3:33", "NET_ROW"},
           {"version: 1\nrules:\n- {match: {devices: [/srv/kvm]}, allow: all}\n", "3:22", "/dev"},
           {"version: 1\nrules:\n- {match: {tenant: 'a b'}, allow: all}\n", "3:20", "no name"},
           {"version: 1\nrules:\n- {match: {registry: 'docker.io:'}, allow: all}\n", "3:22", "no registry"},
           {"version: 1\nrules:\n- {match: {image: 'busybox:'}, allow: all}\n", "3:19", "no image"},
           {"version: 1\nrules:\n- {match: {image: 'busybox@'}, allow: all}\n", "3:19", "no digest"},
           {"version: 1\nrules:\n- {match: {image: 'busybox@sha256:12'}, allow: all}\n", "3:19", "no digest"},
           {"version: 1\nrules:\n- {match: {image: 'busybox:1@sha256:1*'}, allow: all}\n", "3:19", "leave it out"},
           {"version: 1\nrules:\n- {match: {image: 'bu$ybox'}, allow: all}\n", "3:19", "no image"},
           {"version: 1\nrules:\n- {match: any, allow: all, walls: {drop-capabilities: [NET_ROW]}}\n", "3:56", "NET_ROW"},
           {"version: 1\nrules:\n- {match: any, allow: all, walls: {kernel: '>=x'}}\n", "3:44", "range"},
           {"version: 1\n# a\n# \xc3\xa9\xff\xfe\nrules: []\n", "3:4", "UTF-8"},
           {"\xef\xbb\xbfversion: 1\nrules: []\n", "2:8", "at least one"},
           {"version: 1\nrules:\n- {match: any, allow: all, walls: {seccomp: strict}}\n", "3:45", "absolute"},
           {"version: 1\nrules:\n- {match: any, allow: all, walls: {read-only-root: false}}\n", "3:52", "not mentioned"},
           {"version: 1\nrules:\n- {match: any, because: x, deny: all, walls: {no-new-privileges: true}}\n", "3:3",
            "refuses every"},
           {"version: 1\nrules: &a\n- {match: any, allow: all}\n", "2:8", "anchors"},
           {"version: 1\nrules: !x\n- {match: any, allow: all}\n", "2:8", "tags"},
           {"version: 1\n---\nversion: 1\n", "2:1", "second document"},
           {"version: 1\ncallers: [{uid: 1}]\n", "2:11", "'tenant'"},
           {"version: 1\ncallers: [{tenant: a}]\n", "2:11", "'uid'"},
           {"version: 1\ncallers: [{uid: 1, tenant: a, tenants: b}]\n", "2:40", "write one"},
           {"version: 1\ncallers:\n- {uid: 1, tenant: a}\n- {uid: 1, tenant: b}\n", "4:3", "line 3 already"},
           {"version: 1\ncallers: [{uid: 1, tenant: any thing}]\n", "2:28", "name"},
           {"version: 1\ncallers: [{uid: 1, tenant: a, environment: prod}]\n", "2:44", "production"},
           {"version: 1\nunlisted-callers: allow\n", "2:19", "by label"},
           {"version: 1\nenvironments: {unlabelled: live}\n", "2:28", "'live'"}}) {
    std::string message = mistake_in(each.text);
    EXPECT_THAT(message, StartsWith(fmt::format("p.yaml:{}: ", each.place))) << each.text;
    EXPECT_THAT(message, HasSubstr(each.says)) << each.text;
  }
}

TEST(PolicyReader, TextThatIsNotUtf8IsRefused) { EXPECT_THAT(mistake_in("version: \xff\n"), HasSubstr("not YAML")); }

TEST(PolicyReader, SizeAndNestingAreBounded) {
  EXPECT_THAT(mistake_in(std::string((1UL << 20) + 1, ' ')), HasSubstr("larger"));
  EXPECT_THAT(mistake_in(std::string(5000, '[')), StartsWith("p.yaml:"));
  std::string many = "version: 1\nrules:\n";
  for (int i = 0; i < 5001; ++i) {
    many += "- {match: any, allow: all}\n";
  }
  EXPECT_THAT(mistake_in(many), HasSubstr("more than 5000 rules"));
  std::string keys;
  for (int i = 0; i < 1000; ++i) {
    keys += fmt::format("k{}: 1\n", i);
  }
  EXPECT_THAT(mistake_in(keys), HasSubstr("more than 256 keys"));
}

TEST(PolicyReader, WarnsOfWhatIsProbablyNotMeant) {
  Policy policy = Policy::parse(
      "version: 1\nrules:\n- {match: any, require: process, because: x}\n- {match: any, allow: all}\n- {match: any, allow: "
      "all}\n",
      "p.yaml");
  ASSERT_EQ(policy.warnings().size(), 2U);
  EXPECT_THAT(policy.warnings()[0], StartsWith("p.yaml:3:"));
  EXPECT_THAT(policy.warnings()[1], HasSubstr("never reached"));
}

std::string ready_made(const char* name) { return read_file(std::filesystem::path(BULKHEAD_POLICIES) / name); }

std::string decide(const char* file, const nlohmann::json& body, std::optional<uint32_t> uid = std::nullopt) {
  Policy policy = Policy::parse(ready_made(file), file);
  EXPECT_TRUE(policy.warnings().empty());
  Request request = read_request(body);
  request.caller.uid = uid;
  Decision decision = policy.decide(request, Mode::kProcess);
  return decision.verdict == Verdict::kAllowed ? std::string(name(decision.mode)) : "denied by " + decision.rule;
}

TEST(ReadyMadePolicies, AllOfThemAreTested) {
  for (const auto& entry : std::filesystem::directory_iterator(BULKHEAD_POLICIES)) {
    EXPECT_THAT(entry.path().filename().native(),
                testing::AnyOf("cloud-provider.yaml", "compliance.yaml", "environments.yaml", "microservices.yaml"));
  }
}

TEST(ReadyMadePolicies, CloudProvider) {
  constexpr const char* kFile = "cloud-provider.yaml";
  EXPECT_EQ(decide(kFile, {{"Image", "debian"}}, 10001), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "debian"}, {"Labels", {{"org.bulkhead.tenant", "globex"}}}}, 10001), "denied by ");
  EXPECT_EQ(decide(kFile, {{"Image", "debian"}}, 4711), "denied by ");
  EXPECT_EQ(decide(kFile, {{"Image", "debian"}, {"HostConfig", {{"Binds", {"/:/host"}}}}}, 10001),
            "denied by the engine's own socket");
  EXPECT_EQ(decide(kFile, {{"Image", "debian"}, {"HostConfig", {{"Binds", {"/srv:/srv"}}}}}, 10001),
            "denied by customers and the host's folders");
  EXPECT_EQ(decide(kFile, {{"Image", "debian"}, {"HostConfig", {{"Isolation", "process"}}}}, 10001), "denied by customers");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.provider.example/agent"}}, 0), "process");
}

TEST(ReadyMadePolicies, Compliance) {
  constexpr const char* kFile = "compliance.yaml";
  std::string pinned = "registry.example/pay@sha256:" + std::string(64, 'a');
  EXPECT_EQ(decide(kFile, {{"Image", pinned}}), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", pinned}, {"Labels", {{"data", "card"}}}}), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/pay:1"}}), "denied by only what was built and signed off");
  EXPECT_EQ(decide(kFile, {{"Image", "elsewhere.example/pay@sha256:" + std::string(64, 'a')}}), "denied by ");
  EXPECT_EQ(decide(kFile, {{"Image", pinned}, {"HostConfig", {{"Privileged", true}}}}), "denied by no privileges");
  EXPECT_EQ(decide(kFile, {{"Image", pinned}, {"HostConfig", {{"Binds", {"/etc:/e"}}}}}), "denied by ");
  EXPECT_EQ(decide(kFile, {{"Image", pinned}, {"Labels", {{"data", "card"}}}, {"HostConfig", {{"CapAdd", {"CHOWN"}}}}}),
            "denied by card data");
}

TEST(ReadyMadePolicies, Environments) {
  constexpr const char* kFile = "environments.yaml";
  auto of = [](const char* environment) {
    return nlohmann::json{{"Image", "app"}, {"Labels", {{"org.bulkhead.environment", environment}}}};
  };
  EXPECT_EQ(decide(kFile, of("dev")), "process");
  EXPECT_EQ(decide(kFile, of("test")), "hyperv");
  EXPECT_EQ(decide(kFile, of("production")), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "app"}}), "hyperv");
  EXPECT_EQ(decide(kFile, of("prod")), "denied by ");
  EXPECT_EQ(decide(kFile, {{"Image", "app"}, {"HostConfig", {{"Privileged", true}}}}),
            "denied by production is not debugged in place");
  nlohmann::json dev = of("dev");
  dev["HostConfig"] = {{"Binds", {"/var/lib:/x"}}};
  EXPECT_EQ(decide(kFile, dev), "denied by nobody holds the engine");
}

TEST(ReadyMadePolicies, Microservices) {
  constexpr const char* kFile = "microservices.yaml";
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/cart"}}), "process");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/cart"}, {"HostConfig", {{"Privileged", true}}}}), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "redis"}}), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/web"}, {"HostConfig", {{"PublishAllPorts", true}}}}), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/x"}, {"Labels", {{"org.example.code", "customer"}}}}), "hyperv");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/x"}, {"HostConfig", {{"Binds", {"/run:/r"}}}}}),
            "denied by nobody holds the host");
  for (const nlohmann::json& host :
       std::initializer_list<nlohmann::json>{{{"SecurityOpt", {R"(seccomp={"defaultAction":"SCMP_ACT_ALLOW"})"}}},
                                             {{"PidMode", "host"}},
                                             {{"NetworkMode", "host"}},
                                             {{"Binds", {"/home/x:/h"}}},
                                             {{"DeviceCgroupRules", {"c 10:232 rwm"}}}}) {
    EXPECT_EQ(decide(kFile, {{"Image", "registry.example/cart"}, {"HostConfig", host}}), "hyperv") << host;
  }
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/cart"}, {"HostConfig", {{"Binds", {"/srv/cart:/data"}}}}}), "process");
  EXPECT_EQ(decide(kFile, {{"Image", "registry.example/cart"}, {"HostConfig", {{"Binds", {"/etc:/h"}}}}}),
            "denied by nobody holds the host");
}

}  // namespace
}  // namespace bulkhead::policy
