// YAML text as a tree whose every part knows its line and column. Bounded: the file is the administrator's, but a mistake in it
// must end in a message, never in exhausted memory. Pure; thread-safe.
//
// Less than YAML on purpose: one document; no anchors, aliases, merge keys and tags (what a rule says stands where the rule
// stands); no key twice in a mapping.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::policy {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kScalar, kList, kMap };
  Kind kind = Kind::kScalar;
  std::string text;             // of a scalar
  bool plain = false;           // a scalar without quotes
  std::vector<YamlNode> items;  // of a list
  std::vector<YamlEntry> entries;
  size_t line = 1, column = 1;

  /// Nothing stands there, or a plain null.
  bool is_null() const;
};

struct YamlEntry {
  YamlNode key, value;
};

constexpr size_t kYamlLimit = 1UL << 20;  // bytes of a file

/// Throws kInvalidArgument "`file`:line:column: ...".
YamlNode parse_yaml(std::string_view text, const std::string& file);

/// A mapping read key by key: what nobody asked for is a mistake, not something to skip.
class YamlMap {
 public:
  /// `what` names it in errors ("a rule"); `node` outlives this. Throws where it is no mapping.
  YamlMap(const YamlNode& node, std::string file, std::string what);
  /// The value, or nullptr. A key without a value is a mistake.
  const YamlNode* find(std::string_view key);
  /// Throws, naming it and what there is, where there is a key that is neither one of these nor was ever looked for.
  void refuse_rest(std::initializer_list<std::string_view> others = {});
  [[noreturn]] void fail(const YamlNode& at, const std::string& message) const;
  const YamlNode& node() const { return node_; }
  const std::string& file() const { return file_; }

 private:
  const YamlNode& node_;
  std::string file_, what_;
  std::set<std::string, std::less<>> known_;
};

/// Throws kInvalidArgument "`file`:line:column: `message`".
[[noreturn]] void fail_at(const std::string& file, const YamlNode& at, const std::string& message);
/// A scalar's text; it may not be empty, nor hold control characters.
std::string scalar_of(const YamlNode& node, const std::string& file, std::string_view what);
/// A scalar, or a list of at least one: the scalars.
std::vector<const YamlNode*> scalars_of(const YamlNode& node, const std::string& file, std::string_view what);
/// true, false, yes or no.
bool flag_of(const YamlNode& node, const std::string& file, std::string_view what);

}  // namespace bulkhead::policy
