#include "policy/policy_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compat/kernel_version.h"
#include "policy/asked_items.h"
#include "policy/identity_reader.h"
#include "support/error.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kMostRules = 5000;
constexpr size_t kLongestKernel = 64;  // kernels/catalogue.h

struct OutcomeWord {
  std::string_view word;
  Outcome outcome;
};
constexpr std::array kOutcomes = {OutcomeWord{"require", Outcome::kRequire}, OutcomeWord{"default", Outcome::kDefault},
                                  OutcomeWord{"allow", Outcome::kAllow}, OutcomeWord{"deny", Outcome::kDeny}};

}  // namespace

Policy Policy::parse(std::string_view text, const std::string& file) { return PolicyReader(file).read(text); }

Policy PolicyReader::read(std::string_view text) {
  YamlNode tree = parse_yaml(text, file_);
  YamlMap map(tree, file_, "a policy");
  policy_.file_ = file_;
  read_version(map);
  policy_.identities_ = read_identity_rules(map);
  const YamlNode* rules = map.find("rules");
  if (rules == nullptr) {
    map.fail(tree, "a policy needs 'rules': what no rule allows is refused");
  }
  read_rules(*rules);
  map.refuse_rest();
  return std::move(policy_);
}

void PolicyReader::read_version(YamlMap& map) const {
  const YamlNode* version = map.find("version");
  if (version == nullptr || version->text != "1") {
    map.fail(version == nullptr ? map.node() : *version, "a policy begins with 'version: 1'");
  }
}

void PolicyReader::read_rules(const YamlNode& list) {
  if (list.kind != YamlNode::Kind::kList || list.items.empty()) {
    fail_at(file_, list, "rules must be a list of at least one: what no rule allows is refused");
  }
  if (list.items.size() > kMostRules) {
    fail_at(file_, list, fmt::format("more than {} rules", kMostRules));
  }
  const Rule* last = nullptr;
  policy_.rules_.reserve(list.items.size());
  for (const YamlNode& node : list.items) {
    Rule rule = read_rule(node, policy_.rules_.size() + 1);
    if (last != nullptr) {
      warn(node,
           fmt::format("rule '{}' is never reached: '{}' in line {} matches everything", rule.name, last->name, last->line));
    }
    policy_.rules_.push_back(std::move(rule));
    bool ends_all = policy_.rules_.back().match.empty() && policy_.rules_.back().outcome != Outcome::kRequire;
    last = last == nullptr && ends_all ? &policy_.rules_.back() : last;
  }
}

Rule PolicyReader::read_rule(const YamlNode& node, size_t number) {
  YamlMap map(node, file_, "a rule");
  map.refuse_rest({"name", "because", "match", "require", "default", "allow", "deny", "factors", "walls"});
  Rule rule;
  rule.line = node.line;
  const YamlNode* name = map.find("name");
  rule.name = name != nullptr ? scalar_of(*name, file_, "name") : fmt::format("rule {}", number);
  if (const YamlNode* because = map.find("because"); because != nullptr) {
    rule.because = scalar_of(*because, file_, "because");
  }
  const YamlNode* match = map.find("match");
  if (match == nullptr) {
    map.fail(node, "a rule needs a 'match': to mean every container, write 'match: any'");
  }
  rule.match = read_conditions(*match, file_, policy_.identities_);
  read_outcome(map, rule);
  read_factors(map, rule);
  if (const YamlNode* walls = map.find("walls"); walls != nullptr) {
    Walls own = read_walls(*walls);
    // A profile that the rule names is meant instead of the one that its factors bring.
    if (!own.seccomp.empty()) {
      rule.walls.seccomp.clear();
    }
    rule.walls.join(own);
  }
  check_reason(map, rule);
  return rule;
}

void PolicyReader::read_outcome(YamlMap& map, Rule& rule) {
  const YamlNode* found = nullptr;
  for (const OutcomeWord& word : kOutcomes) {
    const YamlNode* node = map.find(word.word);
    if (node == nullptr) {
      continue;
    }
    if (found != nullptr) {
      map.fail(*node, "a rule has one outcome: require, default, allow or deny");
    }
    found = node;
    rule.outcome = word.outcome;
    read_modes(*node, word.outcome, rule);
  }
  if (found != nullptr) {
    return;
  }
  if (map.find("factors") == nullptr) {
    map.fail(map.node(), "a rule needs an outcome: require, default, allow or deny (or factors)");
  }
  rule.outcome = Outcome::kRequire;
  rule.permitted = ModeSet::all();
}

void PolicyReader::read_modes(const YamlNode& node, Outcome outcome, Rule& rule) {
  std::string_view word = kOutcomes.at(static_cast<size_t>(outcome)).word;
  ModeSet named;
  std::vector<Mode> modes;
  for (const YamlNode* text : scalars_of(node, file_, word)) {
    auto mode = mode_of(text->text);
    if (!mode && text->text != "all") {
      fail_at(file_, *text, fmt::format("'{}' is no isolation: it is process, hyperv or all", text->text));
    }
    named = mode ? named : ModeSet::all();
    modes.push_back(mode.value_or(Mode::kProcess));
    named.add(modes.back());
  }
  bool names_one = modes.size() == 1 && !(named.contains(Mode::kProcess) && named.contains(Mode::kHyperv));
  if (!names_one && (outcome == Outcome::kRequire || outcome == Outcome::kDefault)) {
    fail_at(file_, node, fmt::format("{} names one isolation: process or hyperv", word));
  }
  switch (outcome) {
    case Outcome::kRequire:
      rule.permitted = ModeSet::at_least(modes.front());
      if (modes.front() == Mode::kProcess) {
        warn(node,
             "'require: process' asks for no thicker wall than every container has; 'default: process' or 'deny: hyperv' "
             "may be meant");
      }
      break;
    case Outcome::kDefault:
      rule.permitted = ModeSet::all();
      rule.preferred = modes.front();
      break;
    case Outcome::kAllow: rule.permitted = named; break;
    case Outcome::kDeny:
      rule.permitted = ModeSet::all();
      for (Mode mode : kModes) {
        if (named.contains(mode)) {
          rule.permitted.remove(mode);
        }
      }
      break;
  }
}

void PolicyReader::read_factors(YamlMap& map, Rule& rule) const {
  const YamlNode* factors = map.find("factors");
  if (factors == nullptr) {
    return;
  }
  if (rule.outcome != Outcome::kRequire) {
    map.fail(*factors, "factors ask for a thicker wall: they stand in a rule with 'require', or with no other outcome");
  }
  for (const YamlNode* words : scalars_of(*factors, file_, "factors")) {
    auto factor = factor_of(words->text);
    if (!factor) {
      fail_at(file_, *words, fmt::format("'{}' is no factor: there are {}", words->text, factor_names()));
    }
    rule.factors.push_back(*factor);
    rule.walls.join(walls_of(*factor));
    rule.permitted = least_mode(*factor) == Mode::kHyperv ? ModeSet::at_least(Mode::kHyperv) : rule.permitted;
    if (rule.because.empty()) {
      rule.because = sentence(*factor);
    }
  }
}

/// A name of the catalogue, which is looked up when a container is made, or a range.
void PolicyReader::check_kernel(const std::string& text, const YamlNode& at) const {
  bool is_name = std::all_of(text.begin(), text.end(), [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' ||
           letter == '-';
  });
  if (is_name && text.size() <= kLongestKernel) {
    return;
  }
  try {
    compat::KernelRange::parse(text);
  } catch (const Error& error) {
    fail_at(file_, at, fmt::format("kernel is the name of a guests' kernel or a range: {}", error.message()));
  }
}

Walls PolicyReader::read_walls(const YamlNode& node) {
  YamlMap map(node, file_, "walls");
  Walls walls;
  for (const auto& [key, wall] :
       {std::pair{"read-only-root", &walls.read_only_root}, std::pair{"no-new-privileges", &walls.no_new_privileges}}) {
    if (const YamlNode* flag = map.find(key); flag != nullptr) {
      *wall = flag_of(*flag, file_, key);
      if (!*wall) {
        map.fail(*flag, fmt::format("{}: a wall is put up or not mentioned; 'false' would take none away", key));
      }
    }
  }
  if (const YamlNode* list = map.find("drop-capabilities"); list != nullptr) {
    for (const YamlNode* name : scalars_of(*list, file_, "drop-capabilities")) {
      walls.drop_capabilities.insert(capability_of(*name, file_));
    }
  }
  if (const YamlNode* kernel = map.find("kernel"); kernel != nullptr) {
    std::string text = scalar_of(*kernel, file_, "kernel");
    check_kernel(text, *kernel);
    walls.kernels = {text};
  }
  if (const YamlNode* profile = map.find("seccomp"); profile != nullptr) {
    std::string text = scalar_of(*profile, file_, "seccomp");
    if (text != kDefaultSeccomp && !text.starts_with('/')) {
      map.fail(*profile, fmt::format("seccomp is 'default' or the absolute path of a profile, not '{}'", text));
    }
    walls.seccomp = {text};
    if (text != kDefaultSeccomp) {
      policy_.seccomp_profiles_.push_back({.path = text, .line = profile->line, .column = profile->column});
    }
  }
  if (const YamlNode* separate = map.find("separate"); separate != nullptr) {
    if (scalar_of(*separate, file_, "separate") != "environments") {
      map.fail(*separate, "separate takes 'environments': tenants are always kept apart");
    }
    walls.separation = Separation::kEnvironments;
  }
  map.refuse_rest();
  return walls;
}

void PolicyReader::check_reason(const YamlMap& map, const Rule& rule) const {
  bool refuses = rule.outcome == Outcome::kDeny || rule.outcome == Outcome::kRequire;
  if (refuses && rule.because.empty()) {
    map.fail(map.node(), fmt::format("rule '{}' needs a 'because': whoever is refused is told why", rule.name));
  }
  if (rule.permitted.empty() && !rule.walls.empty()) {
    map.fail(map.node(), fmt::format("rule '{}' refuses every container: walls say nothing there", rule.name));
  }
}

void PolicyReader::warn(const YamlNode& at, const std::string& message) {
  policy_.warnings_.push_back(fmt::format("{}:{}:{}: {}", file_, at.line, at.column, message));
}

}  // namespace bulkhead::policy
