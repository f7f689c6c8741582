#include "policy/policy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Request asking(const json& host, json labels = json::object(), const std::string& image = "app") {
  return read_request({{"Image", image}, {"Labels", std::move(labels)}, {"HostConfig", host}});
}

Policy of_rules(const std::string& rules) { return Policy::parse("version: 1\nrules:\n" + rules, "p.yaml"); }

std::string outcome(const Decision& decision) {
  return decision.verdict == Verdict::kAllowed ? std::string(name(decision.mode)) : "denied";
}

// What each outcome makes of each mode that is asked for, on a host whose usual mode is process and on one where it is hyperv.
struct OutcomeCase {
  const char* rule;
  const char* unasked;            // usual: process
  const char* unasked_on_hyperv;  // usual: hyperv
  const char* process;
  const char* hyperv;
};

TEST(Policy, OutcomesDecideByWhatIsAskedFor) {
  for (const OutcomeCase& each :
       std::initializer_list<OutcomeCase>{{"require: hyperv", "hyperv", "hyperv", "denied", "hyperv"},
                                          {"require: process", "process", "hyperv", "process", "hyperv"},
                                          {"default: hyperv", "hyperv", "hyperv", "process", "hyperv"},
                                          {"default: process", "process", "process", "process", "hyperv"},
                                          {"allow: process", "process", "process", "process", "denied"},
                                          {"allow: hyperv", "hyperv", "hyperv", "denied", "hyperv"},
                                          {"allow: [process, hyperv]", "process", "hyperv", "process", "hyperv"},
                                          {"allow: all", "process", "hyperv", "process", "hyperv"},
                                          {"deny: process", "hyperv", "hyperv", "denied", "hyperv"},
                                          {"deny: hyperv", "process", "process", "process", "denied"},
                                          {"deny: all", "denied", "denied", "denied", "denied"},
                                          {"deny: [process, hyperv]", "denied", "denied", "denied", "denied"},
                                          {"factors: dedicated kernel", "hyperv", "hyperv", "denied", "hyperv"},
                                          {"factors: environment", "process", "hyperv", "process", "hyperv"}}) {
    Policy policy = of_rules(fmt::format("- {{match: any, because: so, {}}}\n", each.rule));
    EXPECT_EQ(outcome(policy.decide(asking({}), Mode::kProcess)), each.unasked) << each.rule;
    EXPECT_EQ(outcome(policy.decide(asking({}), Mode::kHyperv)), each.unasked_on_hyperv) << each.rule;
    EXPECT_EQ(outcome(policy.decide(asking({{"Isolation", "process"}}), Mode::kProcess)), each.process) << each.rule;
    EXPECT_EQ(outcome(policy.decide(asking({{"Isolation", "hyperv"}}), Mode::kProcess)), each.hyperv) << each.rule;
  }
}

TEST(Policy, TheFirstMatchWins) {
  Policy policy = of_rules(
      "- {name: one, match: {labels: {a: '1'}}, allow: process}\n"
      "- {name: two, match: {labels: {b: '*'}}, deny: all, because: b}\n"
      "- {name: three, match: any, allow: hyperv}\n");
  EXPECT_EQ(policy.decide(asking({}, {{"a", "1"}, {"b", "1"}}), Mode::kProcess).rule, "one");
  EXPECT_EQ(policy.decide(asking({}, {{"a", "2"}, {"b", "1"}}), Mode::kProcess).rule, "two");
  EXPECT_EQ(policy.decide(asking({}), Mode::kProcess).rule, "three");
  EXPECT_EQ(policy.decide(asking({}), Mode::kProcess).line, 5U);
}

TEST(Policy, WhatNoRuleMatchesIsRefused) {
  Decision decision = of_rules("- {match: {image: other}, allow: all}\n").decide(asking({}), Mode::kProcess);
  EXPECT_EQ(decision.verdict, Verdict::kDenied);
  EXPECT_EQ(decision.rule, "");
  EXPECT_THAT(decision.text(), HasSubstr("p.yaml"));
}

TEST(Policy, ARequirementKeepsTheWallsOfTheRulesBelowIt) {
  Policy policy = of_rules(
      "- {match: {labels: {a: '*'}}, require: process, because: x}\n"
      "- {match: any, require: hyperv, because: y, walls: {no-new-privileges: true}}\n"
      "- {match: any, allow: all, walls: {read-only-root: true}}\n"
      "- {match: any, deny: all, because: never reached}\n");
  Decision decision = policy.decide(asking({}, {{"a", ""}}), Mode::kProcess);
  EXPECT_EQ(outcome(decision), "hyperv");
  EXPECT_TRUE(decision.walls.no_new_privileges);
  EXPECT_TRUE(decision.walls.read_only_root);
  EXPECT_EQ(decision.because, "x");
}

TEST(Policy, ARequirementAdmitsWhatALaterRuleWouldRefuse) {
  Policy policy = of_rules(
      "- {match: {image: app}, require: hyperv, because: x}\n"
      "- {match: any, deny: all, because: the rest}\n");
  EXPECT_EQ(outcome(policy.decide(asking({}), Mode::kProcess)), "hyperv");
  EXPECT_EQ(outcome(policy.decide(asking({}, {}, "other"), Mode::kProcess)), "denied");
}

TEST(Policy, ARefusalSaysWhichRuleWhereAndWhy) {
  Policy policy = of_rules("- {name: strangers, match: any, require: hyperv, because: we do not know them}\n");
  std::string text = policy.decide(asking({{"Isolation", "process"}}), Mode::kProcess).text();
  for (const char* part : {"strangers", "p.yaml:3", "we do not know them", "process", "hyperv"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

struct MatchCase {
  const char* match;
  json host;
  json labels;
  const char* image;
  bool matches;
};

TEST(Policy, MatchesOnEachThing) {
  std::string digest = "app@sha256:" + std::string(64, '1');
  for (const MatchCase& each : std::initializer_list<MatchCase>{
           {"any", {}, {}, "app", true},
           {"{image: app}", {}, {}, "app:7", true},
           {"{image: [x, app]}", {}, {}, "app", true},
           {"{image: '*'}", {}, {}, "app", true},
           {"{image: x}", {}, {}, "app", false},
           {"{registry: 'registry.acme'}", {}, {}, "registry.acme/x", true},
           {"{registry: docker.io}", {}, {}, "app", true},
           {"{registry: '*.acme'}", {}, {}, "app", false},
           {"{digest-pinned: true}", {}, {}, digest.c_str(), true},
           {"{digest-pinned: false}", {}, {}, digest.c_str(), false},
           {"{digest-pinned: false}", {}, {}, "app", true},
           {"{labels: {a: 'b*', c: '*'}}", {}, {{"a", "bc"}, {"c", ""}}, "app", true},
           {"{labels: {a: 'b*', c: '*'}}", {}, {{"a", "bc"}}, "app", false},
           {"{labels: {a: [x, y]}}", {}, {{"a", "y"}}, "app", true},
           {"{annotations: {a: b}}", {{"Annotations", {{"a", "b"}}}}, {}, "app", true},
           {"{tenant: acme}", {}, {{"org.bulkhead.tenant", "acme"}}, "app", true},
           {"{tenant: any}", {}, {{"org.bulkhead.tenant", "acme"}}, "app", true},
           {"{tenant: any}", {}, {}, "app", false},
           {"{tenant: '*'}", {}, {}, "app", false},
           {"{tenant: none}", {}, {}, "app", true},
           {"{environment: production}", {}, {{"org.bulkhead.environment", "production"}}, "app", true},
           {"{environment: [dev, none]}", {}, {}, "app", true},
           {"{environment: dev}", {}, {{"org.bulkhead.environment", "test"}}, "app", false},
           {"{isolation: default}", {}, {}, "app", true},
           {"{isolation: [process, hyperv]}", {{"Isolation", "hyperv"}}, {}, "app", true},
           {"{privileged: true}", {{"Privileged", true}}, {}, "app", true},
           {"{privileged: false}", {{"Privileged", true}}, {}, "app", false},
           {"{added-capabilities: none}", {}, {}, "app", true},
           {"{added-capabilities: any}", {{"CapAdd", {"CHOWN"}}}, {}, "app", true},
           {"{added-capabilities: [SYS_ADMIN]}", {{"CapAdd", {"cap_sys_admin"}}}, {}, "app", true},
           {"{added-capabilities: [SYS_ADMIN]}", {{"CapAdd", {"ALL"}}}, {}, "app", true},
           {"{added-capabilities: [SYS_ADMIN]}", {{"Privileged", true}}, {}, "app", true},
           {"{added-capabilities: {only: [CHOWN]}}", {}, {}, "app", true},
           {"{added-capabilities: {only: [CHOWN]}}", {{"CapAdd", {"CHOWN"}}}, {}, "app", true},
           {"{added-capabilities: {only: [CHOWN]}}", {{"CapAdd", {"CHOWN", "SYS_ADMIN"}}}, {}, "app", false},
           {"{added-capabilities: {only: [CHOWN]}}", {{"CapAdd", {"ALL"}}}, {}, "app", false},
           {"{host-mounts: [/var/run/docker.sock]}", {{"Binds", {"/var/run/docker.sock:/s"}}}, {}, "app", true},
           {"{host-mounts: [/var/run/docker.sock]}", {{"Binds", {"/var:/s"}}}, {}, "app", true},
           {"{host-mounts: [/var/run/docker.sock]}", {{"Binds", {"/:/s"}}}, {}, "app", true},
           {"{host-mounts: [/var/run/docker.sock]}", {{"Binds", {"/variable:/s"}}}, {}, "app", false},
           {"{host-mounts: [/etc]}", {{"Binds", {"/srv/../etc/shadow:/s"}}}, {}, "app", true},
           {"{host-mounts: {only: [/srv]}}", {{"Binds", {"/srv/x:/s", "/srv:/t"}}}, {}, "app", true},
           {"{host-mounts: {only: [/srv]}}", {{"Binds", {"/srv/x:/s", "/:/t"}}}, {}, "app", false},
           {"{host-mounts: {only: [/srv]}}", {{"Binds", {"/srv/../etc:/s"}}}, {}, "app", false},
           {"{host-mounts: none}", {}, {}, "app", true},
           {"{devices: any}", {{"DeviceCgroupRules", {"a *:* rwm"}}}, {}, "app", true},
           {"{devices: [/dev/kvm]}", {{"Privileged", true}}, {}, "app", true},
           {"{devices: {only: [/dev/dri]}}", {{"Devices", {{{"PathOnHost", "/dev/dri/card0"}}}}}, {}, "app", true},
           {"{devices: {only: [/dev/dri]}}", {{"DeviceCgroupRules", {"c 1:* rwm"}}}, {}, "app", false},
           {"{devices: [/dev/kvm]}", {{"DeviceCgroupRules", {"c 10:232 rwm"}}}, {}, "app", true},
           {"{devices: [/dev/kvm]}", {{"Devices", {{{"PathOnHost", "/srv/kvm"}}}}}, {}, "app", true},
           {"{devices: [/dev/kvm]}", {{"Devices", {{{"PathOnHost", "/dev/fuse"}}}}}, {}, "app", false},
           {"{published-ports: any}", {{"PublishAllPorts", true}}, {}, "app", true},
           {"{published-ports: {only: ['8000-8099']}}",
            {{"PortBindings", {{"80/tcp", {{{"HostPort", "8010"}}}}}}},
            {},
            "app",
            true},
           {"{published-ports: {only: ['8000-8099']}}",
            {{"PortBindings", {{"80/tcp", {{{"HostPort", ""}}}}}}},
            {},
            "app",
            false},
           {"{published-ports: [443]}", {{"PortBindings", {{"80/tcp", {{{"HostPort", "400-500"}}}}}}}, {}, "app", true},
           {"{host-namespaces: [network]}", {{"NetworkMode", "host"}}, {}, "app", true},
           {"{host-namespaces: [pid]}", {{"NetworkMode", "host"}}, {}, "app", false},
           {"{lifted: [seccomp]}", {{"SecurityOpt", {"seccomp=unconfined"}}}, {}, "app", true},
           {"{lifted: any}", {{"SecurityOpt", {"seccomp={}"}}}, {}, "app", true},
           {"{lifted: none}", {{"SecurityOpt", {"seccomp={}"}}}, {}, "app", false},
           {"{lifted: any}", {{"Privileged", true}}, {}, "app", true}}) {
    Policy policy = of_rules(fmt::format("- {{match: {}, deny: all, because: x}}\n- {{match: any, allow: all}}\n", each.match));
    json labels = each.labels.is_null() ? json::object() : each.labels;
    Decision decision = policy.decide(asking(each.host, labels, each.image), Mode::kProcess);
    EXPECT_EQ(decision.verdict == Verdict::kDenied, each.matches)
        << each.match << " " << each.host << " " << each.labels << " " << each.image;
  }
}

TEST(Policy, CallersAreMatchedByUidAndByName) {
  Policy policy = of_rules(
      "- {match: {uid: [0, 1000-1999]}, allow: process}\n"
      "- {match: {tls: '*.ci'}, allow: hyperv}\n"
      "- {match: any, deny: all, because: strangers}\n");
  Request request = asking({});
  EXPECT_EQ(outcome(policy.decide(request, Mode::kProcess)), "denied");
  request.caller.uid = 1500;
  EXPECT_EQ(outcome(policy.decide(request, Mode::kProcess)), "process");
  request.caller.uid = 2000;
  EXPECT_EQ(outcome(policy.decide(request, Mode::kProcess)), "denied");
  request.caller = {.uid = {}, .tls_name = "runner.ci"};
  EXPECT_EQ(outcome(policy.decide(request, Mode::kProcess)), "hyperv");
}

TEST(Policy, ImageLabelsAreNotTheRequestsOwn) {
  Policy policy = of_rules(
      "- {match: {labels: {trusted: 'yes'}}, allow: process}\n"
      "- {match: {image-labels: {trusted: 'yes'}}, deny: all, because: said by the image only}\n"
      "- {match: any, allow: hyperv}\n");
  Request request = asking({});
  request.image_labels = {{"trusted", "yes"}, {"org.bulkhead.tenant", "acme"}};
  Decision decision = policy.decide(request, Mode::kProcess);
  EXPECT_EQ(outcome(decision), "denied");
  EXPECT_EQ(decision.identity.tenant, "");
}

struct WallCase {
  const char* walls;
  json host;
  bool allowed;
};

TEST(Policy, WhatWouldUndoAWallIsRefused) {
  for (const WallCase& each :
       std::initializer_list<WallCase>{{"{read-only-root: true}", {}, true},
                                       {"{read-only-root: true}", {{"Privileged", true}}, false},
                                       {"{read-only-root: true}", {{"CapAdd", {"SYS_ADMIN"}}}, false},
                                       {"{no-new-privileges: true}", {{"SecurityOpt", {"no-new-privileges=false"}}}, false},
                                       {"{no-new-privileges: true}", {{"SecurityOpt", {"no-new-privileges"}}}, true},
                                       {"{seccomp: default}", {{"SecurityOpt", {"seccomp=unconfined"}}}, false},
                                       {"{seccomp: default}", {{"SecurityOpt", {"seccomp={}"}}}, false},
                                       {"{seccomp: default}", {{"Privileged", true}}, false},
                                       {"{seccomp: default}", {{"SecurityOpt", {"seccomp=builtin"}}}, true},
                                       {"{drop-capabilities: [NET_RAW]}", {{"CapAdd", {"cap_net_raw"}}}, false},
                                       {"{drop-capabilities: [NET_RAW]}", {{"CapAdd", {"SYS_TIME"}}}, true},
                                       {"{drop-capabilities: [ALL]}", {{"CapAdd", {"CHOWN"}}}, false},
                                       {"{drop-capabilities: [ALL]}", {{"CapAdd", {"ALL"}}}, false},
                                       {"{separate: environments}", {{"Privileged", true}}, true}}) {
    Policy policy = of_rules(fmt::format("- {{match: any, allow: all, walls: {}}}\n", each.walls));
    EXPECT_EQ(policy.decide(asking(each.host), Mode::kProcess).verdict == Verdict::kAllowed, each.allowed)
        << each.walls << " " << each.host;
  }
}

TEST(Policy, TwoSeccompProfilesCanNotBeHadAtOnce) {
  Policy policy = of_rules(
      "- {match: any, require: process, because: x, walls: {seccomp: /a.json}}\n"
      "- {match: any, allow: all, walls: {seccomp: /b.json}}\n");
  EXPECT_EQ(outcome(policy.decide(asking({}), Mode::kProcess)), "denied");
  ASSERT_EQ(policy.seccomp_profiles().size(), 2U);
  EXPECT_EQ(policy.seccomp_profiles()[1].path, "/b.json");
  EXPECT_EQ(policy.seccomp_profiles()[1].line, 4U);
}

TEST(Policy, FactorsBringTheirWalls) {
  Decision decision = of_rules("- {match: any, factors: [compliance, environment]}\n").decide(asking({}), Mode::kProcess);
  EXPECT_EQ(outcome(decision), "hyperv");
  EXPECT_TRUE(decision.walls.read_only_root && decision.walls.no_new_privileges);
  EXPECT_EQ(decision.walls.separation, Separation::kEnvironments);
  EXPECT_EQ(decision.factors.size(), 2U);
  EXPECT_FALSE(decision.because.empty());
}

TEST(Policy, AThickerWallIsAnAlternativeOnlyWhereNobodyAskedForTheThinner) {
  Policy policy = of_rules("- {match: any, allow: all}\n");
  EXPECT_EQ(policy.decide(asking({}), Mode::kProcess).alternative, Mode::kHyperv);
  EXPECT_FALSE(policy.decide(asking({{"Isolation", "process"}}), Mode::kProcess).alternative);
  EXPECT_FALSE(of_rules("- {match: any, allow: process}\n").decide(asking({}), Mode::kProcess).alternative);
}

TEST(Policy, WithoutAPolicyEverythingIsAsItIsAskedFor) {
  Policy policy = Policy::none();
  EXPECT_EQ(outcome(policy.decide(asking({{"Privileged", true}}), Mode::kProcess)), "process");
  EXPECT_EQ(outcome(policy.decide(asking({{"Isolation", "hyperv"}}), Mode::kProcess)), "hyperv");
  EXPECT_EQ(policy.decide(asking({}, {{"org.bulkhead.tenant", "a"}}), Mode::kProcess).identity.tenant, "a");
}

TEST(Policy, ADecisionIsKeptAndReadBackTheSame) {
  Decision decision = of_rules("- {match: any, factors: compliance}\n").decide(asking({}), Mode::kProcess);
  Decision read = decision_of_json(to_json(decision));
  EXPECT_EQ(to_json(read), to_json(decision));
  EXPECT_EQ(read.walls, decision.walls);
}

}  // namespace
}  // namespace bulkhead::policy
