#include "policy/pattern.h"

#include <algorithm>
#include <utility>

namespace bulkhead::policy {

Pattern::Pattern(std::string_view text, Wildcards wildcards) : wildcards_(wildcards) {
  size_t first = text.find_first_of("*?");
  if (first == std::string_view::npos) {
    prefix_ = text;
    return;
  }
  size_t last = text.find_last_of("*?");
  prefix_ = text.substr(0, first);
  suffix_ = text.substr(last + 1);
  for (size_t i = first; i <= last; ++i) {
    if (text[i] == '?') {
      tokens_.push_back({Kind::kAnyOne, 0});
    } else if (text[i] != '*') {
      tokens_.push_back({Kind::kLetter, text[i]});
    } else if (wildcards == Wildcards::kText) {
      tokens_.push_back({Kind::kAnyRun, 0});
    } else if (i < last && text[i + 1] == '*') {
      tokens_.push_back({Kind::kAnyRun, 0});
      ++i;
    } else {
      tokens_.push_back({Kind::kAnyRunInPart, 0});
    }
  }
}

bool Pattern::matches(std::string_view text) const {
  if (tokens_.empty()) {
    return text == prefix_;
  }
  if (text.size() < prefix_.size() + suffix_.size() || !text.starts_with(prefix_) || !text.ends_with(suffix_)) {
    return false;
  }
  text = text.substr(prefix_.size(), text.size() - prefix_.size() - suffix_.size());
  // reached[i]: the tokens before the i-th can stand for what was read so far. No backtracking: nobody's text takes long.
  std::vector<char> reached(tokens_.size() + 1);
  auto skip_runs = [&] {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      bool may_be_empty = tokens_[i].kind == Kind::kAnyRun || tokens_[i].kind == Kind::kAnyRunInPart;
      reached[i + 1] = static_cast<char>(reached[i + 1] | (may_be_empty ? reached[i] : 0));
    }
  };
  reached[0] = 1;
  skip_runs();
  for (char letter : text) {
    // From the back, so that one letter is taken once.
    reached[tokens_.size()] = 0;
    for (size_t i = tokens_.size(); i-- > 0;) {
      char here = std::exchange(reached[i], char{0});
      const Token& token = tokens_[i];
      switch (token.kind) {
        case Kind::kLetter: reached[i + 1] = static_cast<char>(reached[i + 1] | (letter == token.letter ? here : 0)); break;
        case Kind::kAnyOne: reached[i + 1] = static_cast<char>(reached[i + 1] | (is_any(letter) ? here : 0)); break;
        case Kind::kAnyRun: reached[i] = here; break;
        case Kind::kAnyRunInPart: reached[i] = letter != '/' ? here : 0; break;
      }
    }
    skip_runs();
  }
  return reached[tokens_.size()] != 0;
}

bool can_match(std::string_view pattern, const std::function<bool(const std::string&)>& is_valid) {
  std::string digits;
  std::string nothing;
  for (size_t i = 0; i < pattern.size(); ++i) {
    bool is_run = pattern[i] == '*';
    if (is_run && i > 0 && pattern[i - 1] == '*') {
      continue;
    }
    digits += is_run || pattern[i] == '?' ? '1' : pattern[i];
    if (!is_run) {
      nothing += pattern[i] == '?' ? '1' : pattern[i];
    }
  }
  return is_valid(digits) || is_valid(nothing);
}

bool any_matches(const std::vector<Pattern>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const Pattern& pattern) { return pattern.matches(text); });
}

}  // namespace bulkhead::policy
