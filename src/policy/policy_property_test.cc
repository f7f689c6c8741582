// What has to hold of every policy and every request, tried on many that nobody thought up.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "policy/policy.h"

namespace bulkhead::policy {
namespace {

using nlohmann::json;

class Dice {
 public:
  explicit Dice(unsigned seed) : generator_(seed) {}
  size_t below(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(generator_); }
  bool one_in(size_t count) { return below(count) == 0; }
  template <typename Item>
  Item of(std::initializer_list<Item> items) {
    return items.begin()[below(items.size())];
  }

 private:
  std::mt19937 generator_;
};

std::string random_match(Dice& dice) {
  if (dice.one_in(3)) {
    return "any";
  }
  std::string match;
  for (const char* key :
       {"image: app", "image: '*'", "registry: 'r*'", "labels: {l: x}", "labels: {l: '*'}", "privileged: true",
        "privileged: false", "added-capabilities: any", "added-capabilities: {only: [CHOWN]}", "host-mounts: [/srv]",
        "host-mounts: none", "environment: [dev, none]", "tenant: any", "isolation: default", "uid: 0-10", "lifted: any"}) {
    std::string word = std::string(key).substr(0, std::string(key).find(':'));
    if (dice.one_in(9) && match.find(word + ":") == std::string::npos) {
      match += (match.empty() ? "" : ", ") + std::string(key);
    }
  }
  return match.empty() ? "any" : "{" + match + "}";
}

std::string random_walls(Dice& dice) {
  std::string walls;
  auto add = [&](const char* wall) {
    if (dice.one_in(3)) {
      walls += (walls.empty() ? "" : ", ") + std::string(wall);
    }
  };
  add("read-only-root: true");
  add("no-new-privileges: true");
  add(dice.of({"drop-capabilities: [NET_RAW]", "drop-capabilities: [CHOWN, MKNOD]", "drop-capabilities: ALL"}));
  add(dice.of({"seccomp: default", "seccomp: /a.json", "seccomp: /b.json"}));
  add("separate: environments");
  add("kernel: '>=6.1'");
  return walls.empty() ? "" : fmt::format(", walls: {{{}}}", walls);
}

std::string random_requirement(Dice& dice, const std::string& rule_name) {
  std::string asks = dice.of<std::string>({"require: process", "require: hyperv", "factors: dedicated kernel",
                                           "factors: [compliance, environment]", "require: process, factors: environment",
                                           "require: hyperv, factors: host does not trust the app"});
  return fmt::format("- {{name: {}, match: {}, because: x, {}{}}}\n", rule_name, random_match(dice), asks, random_walls(dice));
}

std::string random_rule(Dice& dice, size_t number) {
  std::string rule_name = fmt::format("r{}", number);
  if (dice.one_in(3)) {
    return random_requirement(dice, rule_name);
  }
  if (dice.one_in(6)) {
    return fmt::format("- {{name: {}, match: {}, because: x, deny: all}}\n", rule_name, random_match(dice));
  }
  auto outcome = dice.of({"default: process", "default: hyperv", "allow: process", "allow: hyperv", "allow: all",
                          "deny: process", "deny: hyperv"});
  return fmt::format("- {{name: {}, match: {}, because: x, {}{}}}\n", rule_name, random_match(dice), outcome,
                     random_walls(dice));
}

std::vector<std::string> random_rules(Dice& dice) {
  std::vector<std::string> rules;
  size_t count = 1 + dice.below(6);
  for (size_t i = 0; i < count; ++i) {
    rules.push_back(random_rule(dice, i));
  }
  return rules;
}

Policy of_rules(const std::vector<std::string>& rules) {
  return Policy::parse(fmt::format("version: 1\nrules:\n{}", fmt::join(rules, "")), "p.yaml");
}

Request random_request(Dice& dice) {
  json host = json::object();
  json labels = json::object();
  if (dice.one_in(2)) {
    host["Isolation"] = dice.of({"process", "hyperv", "default"});
  }
  if (dice.one_in(5)) {
    host["Privileged"] = true;
  }
  if (dice.one_in(4)) {
    host["CapAdd"] = {dice.of({"CHOWN", "SYS_ADMIN", "ALL"})};
  }
  if (dice.one_in(4)) {
    host["Binds"] = {dice.of({"/srv/a:/a", "/:/b", "/etc:/c"})};
  }
  if (dice.one_in(5)) {
    host["SecurityOpt"] = {dice.of({"seccomp=unconfined", "no-new-privileges=false", "seccomp={}"})};
  }
  if (dice.one_in(3)) {
    labels["l"] = dice.of({"x", "y"});
  }
  if (dice.one_in(3)) {
    labels["org.bulkhead.tenant"] = dice.of({"a", "b"});
  }
  if (dice.one_in(3)) {
    labels["org.bulkhead.environment"] = dice.of({"dev", "production"});
  }
  Request request =
      read_request({{"Image", dice.of({"app", "registry.x/app", "other:1"})}, {"Labels", labels}, {"HostConfig", host}});
  if (dice.one_in(2)) {
    request.caller.uid = static_cast<uint32_t>(dice.below(20));
  }
  return request;
}

bool is_allowed(const Decision& decision) { return decision.verdict == Verdict::kAllowed; }

TEST(PolicyProperties, AddingARequireNeverWeakensAWall) {
  size_t compared = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    Dice dice(seed);
    std::vector<std::string> rules = random_rules(dice);
    Policy before = of_rules(rules);
    size_t position = dice.below(rules.size() + 1);
    rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(position), random_requirement(dice, "added"));
    Policy after = of_rules(rules);
    const Rule& added = after.rules()[position];
    for (int i = 0; i < 8; ++i) {
      Request request = random_request(dice);
      Mode usual = dice.of({Mode::kProcess, Mode::kHyperv});
      Decision was = before.decide(request, usual);
      Decision is = after.decide(request, usual);
      if (!is_allowed(is)) {
        continue;
      }
      std::string context = fmt::format("seed {}\n{}\n{}", seed, fmt::join(rules, ""), to_json(request).dump());
      if (is_allowed(was)) {
        ++compared;
        ASSERT_GE(is.mode, was.mode) << context;
        ASSERT_TRUE(is.walls.cover(was.walls)) << context;
      } else {
        // Only the new rule itself can have let it in, and not below what it requires.
        ASSERT_EQ(is.rule, "added") << context;
        ASSERT_TRUE(added.permitted.contains(is.mode) && is.walls.cover(added.walls)) << context;
      }
    }
  }
  EXPECT_GT(compared, 5000U);
}

TEST(PolicyProperties, TheFirstMatchingRuleDecidesAndItsWallsStand) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Dice dice(seed + 1'000'000);
    Policy policy = of_rules(random_rules(dice));
    Request request = random_request(dice);
    Decision decision = policy.decide(request, Mode::kProcess);
    HostPaths host;
    auto first = std::find_if(policy.rules().begin(), policy.rules().end(), [&](const Rule& rule) {
      return all_hold(rule.match, {request, decision.identity, host});
    });
    if (first == policy.rules().end()) {
      ASSERT_EQ(decision.verdict, Verdict::kDenied);
      continue;
    }
    ASSERT_EQ(decision.rule, first->name);
    if (is_allowed(decision)) {
      ASSERT_TRUE(first->permitted.contains(decision.mode));
      ASSERT_TRUE(decision.walls.cover(first->walls));
      ASSERT_LE(decision.walls.seccomp.size(), 1U);
      ASSERT_EQ(conflict(decision.walls, request), "");
    }
  }
}

TEST(PolicyProperties, NobodyGetsAnotherModeThanWasAskedFor) {
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Dice dice(seed + 2'000'000);
    Policy policy = of_rules(random_rules(dice));
    Request request = random_request(dice);
    Decision decision = policy.decide(request, dice.of({Mode::kProcess, Mode::kHyperv}));
    if (is_allowed(decision) && request.asked_mode) {
      ASSERT_EQ(decision.mode, *request.asked_mode);
      ASSERT_FALSE(decision.alternative);
    }
  }
}

}  // namespace
}  // namespace bulkhead::policy
