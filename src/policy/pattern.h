// Patterns with wildcards, compiled once: what a rule compares names, labels and image references with. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::policy {

/// What '*' stands for. In a path '*' ends at a '/', and "**" goes on.
enum class Wildcards { kText, kPath };

class Pattern {
 public:
  explicit Pattern(std::string_view text, Wildcards wildcards = Wildcards::kText);
  /// The whole of `text`. Time: the lengths multiplied at worst; a text that begins or ends otherwise is told at once.
  bool matches(std::string_view text) const;

 private:
  enum class Kind : unsigned char { kLetter, kAnyOne, kAnyRun, kAnyRunInPart };
  struct Token {
    Kind kind;
    char letter;
  };
  bool is_any(char letter) const { return wildcards_ == Wildcards::kText || letter != '/'; }

  Wildcards wildcards_;
  std::string prefix_, suffix_;  // before the first and after the last wildcard
  std::vector<Token> tokens_;    // from the first wildcard to the last; none: `prefix_` is the whole
};

/// SECURITY: a rule that can match nothing is a mistake. Whether a pattern can match something that `is_valid`: it is tried
/// with its wildcards standing for a digit, and for nothing.
bool can_match(std::string_view pattern, const std::function<bool(const std::string&)>& is_valid);

/// Whether one of them does.
bool any_matches(const std::vector<Pattern>& patterns, std::string_view text);

}  // namespace bulkhead::policy
