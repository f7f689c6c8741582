#include "policy/identity_reader.h"

#include <fmt/format.h>

#include <charconv>

namespace bulkhead::policy {
namespace {

std::string read_name(const YamlNode& node, const std::string& file, std::string_view kind) {
  std::string name = scalar_of(node, file, kind);
  if (!is_valid_name(name)) {
    fail_at(
        file, node,
        fmt::format("'{}' is no name of a {}: up to 63 letters, digits, '.', '_' and '-', not 'any' nor 'none'", name, kind));
  }
  return name;
}

std::set<std::string> read_names(const YamlNode& node, const std::string& file, std::string_view kind) {
  std::set<std::string> names;
  for (const YamlNode* name : scalars_of(node, file, kind)) {
    names.insert(read_name(*name, file, kind));
  }
  return names;
}

/// `tenants: {label: ..., unlabelled: NAME|refuse, names: [...]}`
void read_source(YamlMap& map, std::string_view key, std::string_view kind, NameSource& source) {
  const YamlNode* node = map.find(key);
  if (node == nullptr) {
    return;
  }
  YamlMap fields(*node, map.file(), std::string(key));
  if (const YamlNode* label = fields.find("label"); label != nullptr) {
    source.label = scalar_of(*label, map.file(), "label");
  }
  if (const YamlNode* names = fields.find("names"); names != nullptr) {
    source.allowed = read_names(*names, map.file(), kind);
  }
  if (const YamlNode* unlabelled = fields.find("unlabelled"); unlabelled != nullptr) {
    bool refused = unlabelled->text == "refuse";
    source.unlabelled = refused ? Unlabelled::kRefused : Unlabelled::kNamed;
    source.fallback = refused ? "" : read_name(*unlabelled, map.file(), kind);
    if (!refused && !source.allowed.empty() && !source.allowed.contains(source.fallback)) {
      map.fail(*unlabelled, fmt::format("'{}' is none of the {}", source.fallback, key));
    }
  }
  fields.refuse_rest();
}

void check_known(const Names& names, const NameSource& source, const YamlNode& at, const std::string& file,
                 std::string_view kind) {
  for (const std::string& name : names.names) {
    if (!source.allowed.empty() && !source.allowed.contains(name)) {
      fail_at(file, at, fmt::format("'{}' is none of the {}s {}", name, kind, fmt::join(source.allowed, ", ")));
    }
  }
}

enum class Absent { kIsAny, kIsAMistake };

/// `tenant: a`, `tenants: [a, b]` or `tenants: any`.
Names read_bound(YamlMap& map, const std::string& singular, const NameSource& source, Absent absent) {
  const YamlNode* one = map.find(singular);
  const YamlNode* several = map.find(singular + "s");
  if (one != nullptr && several != nullptr) {
    map.fail(*several, fmt::format("both '{0}' and '{0}s': write one of them", singular));
  }
  const YamlNode* node = one != nullptr ? one : several;
  Names names;
  if (node == nullptr) {
    if (absent == Absent::kIsAMistake) {
      map.fail(map.node(), fmt::format("a caller needs a '{0}', or '{0}s: any'", singular));
    }
    names.any = true;
    return names;
  }
  if (node->kind == YamlNode::Kind::kScalar && node->text == "any") {
    names.any = true;
    return names;
  }
  names.names = read_names(*node, map.file(), singular);
  check_known(names, source, *node, map.file(), singular);
  return names;
}

std::set<uint32_t> read_uids(const YamlNode& node, const std::string& file) {
  std::set<uint32_t> uids;
  for (const YamlNode* text : scalars_of(node, file, "uid")) {
    uint32_t uid = 0;
    const char* end = text->text.data() + text->text.size();
    auto parsed = std::from_chars(text->text.data(), end, uid);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
      fail_at(file, *text, fmt::format("'{}' is no user id", text->text));
    }
    uids.insert(uid);
  }
  return uids;
}

/// SECURITY: of two entries about one caller, one would be void without anybody noticing.
void refuse_twice(const std::vector<CallerRule>& before, const CallerRule& rule, const YamlNode& node,
                  const std::string& file) {
  for (const CallerRule& other : before) {
    for (uint32_t uid : rule.uids) {
      if (other.uids.contains(uid)) {
        fail_at(file, node, fmt::format("uid {} is bound in line {} already", uid, other.line));
      }
    }
    for (const std::string& name : rule.tls_names) {
      if (other.tls_names.contains(name)) {
        fail_at(file, node, fmt::format("the TLS name '{}' is bound in line {} already", name, other.line));
      }
    }
  }
}

CallerRule read_caller(const YamlNode& node, const std::string& file, const IdentityRules& rules) {
  YamlMap map(node, file, "a caller");
  CallerRule rule;
  rule.line = node.line;
  if (const YamlNode* uid = map.find("uid"); uid != nullptr) {
    rule.uids = read_uids(*uid, file);
  }
  if (const YamlNode* tls = map.find("tls"); tls != nullptr) {
    for (const YamlNode* name : scalars_of(*tls, file, "tls")) {
      rule.tls_names.insert(name->text);
    }
  }
  if (rule.uids.empty() && rule.tls_names.empty()) {
    map.fail(node, "a caller needs a 'uid' or a 'tls' name");
  }
  rule.tenants = read_bound(map, "tenant", rules.tenants, Absent::kIsAMistake);
  rule.environments = read_bound(map, "environment", rules.environments, Absent::kIsAny);
  map.refuse_rest();
  refuse_twice(rules.callers, rule, node, file);
  return rule;
}

}  // namespace

IdentityRules read_identity_rules(YamlMap& map) {
  IdentityRules rules;
  read_source(map, "tenants", "tenant", rules.tenants);
  read_source(map, "environments", "environment", rules.environments);
  if (const YamlNode* callers = map.find("callers"); callers != nullptr) {
    if (callers->kind != YamlNode::Kind::kList || callers->items.empty()) {
      map.fail(*callers, "callers must be a list of at least one");
    }
    for (const YamlNode& node : callers->items) {
      rules.callers.push_back(read_caller(node, map.file(), rules));
    }
  }
  if (const YamlNode* unlisted = map.find("unlisted-callers"); unlisted != nullptr) {
    std::string text = scalar_of(*unlisted, map.file(), "unlisted-callers");
    if (text != "refuse" && text != "by label") {
      map.fail(*unlisted, fmt::format("unlisted-callers is 'refuse' or 'by label', not '{}'", text));
    }
    rules.unlisted = text == "refuse" ? Unlisted::kRefused : Unlisted::kByLabel;
  }
  return rules;
}

}  // namespace bulkhead::policy
