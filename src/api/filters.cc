#include "api/filters.h"

#include <fmt/format.h>
#include <regex.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::api {
namespace {

constexpr size_t kMaximumText = 64UL << 10;
constexpr size_t kMaximumPattern = 256;

/// SECURITY: back references and long patterns make regexec(3) take exponential time or much stack; names need neither.
bool is_harmless(const std::string& pattern) {
  if (pattern.size() > kMaximumPattern || std::count(pattern.begin(), pattern.end(), '(') > 8 ||
      pattern.find('{') != std::string::npos) {
    return false;
  }
  for (size_t i = 0; i + 1 < pattern.size(); ++i) {
    if (pattern[i] == '\\' && pattern[i + 1] >= '0' && pattern[i + 1] <= '9') {
      return false;
    }
  }
  return true;
}

bool is_found(const std::string& pattern, const std::string& text) {
  if (!is_harmless(pattern)) {
    return false;
  }
  regex_t compiled;
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
    return false;
  }
  bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

Error invalid(std::string_view why) { return {ErrorCode::kInvalidArgument, fmt::format("invalid filter: {}", why)}; }

std::vector<std::string> values_of(const std::string& name, const nlohmann::json& json) {
  std::vector<std::string> values;
  if (json.is_object()) {
    for (const auto& [value, wanted] : json.items()) {
      if (!wanted.is_boolean()) {
        throw invalid(fmt::format("'{}' has a value that is neither true nor false", name));
      }
      if (wanted.get<bool>()) {
        values.push_back(value);
      }
    }
    return values;
  }
  if (!json.is_array()) {
    throw invalid(fmt::format("'{}' is neither a map nor a list", name));
  }
  for (const auto& value : json) {
    if (!value.is_string()) {
      throw invalid(fmt::format("'{}' lists something that is no string", name));
    }
    values.push_back(value.get<std::string>());
  }
  return values;
}

}  // namespace

Filters Filters::parse(const std::string& text) {
  Filters filters;
  if (text.empty()) {
    return filters;
  }
  if (text.size() > kMaximumText) {
    throw invalid("it is too long");
  }
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    throw invalid("it is not a JSON object");
  }
  for (const auto& [name, values] : json.items()) {
    filters.values_[name] = values_of(name, values);
    if (filters.values_[name].empty()) {
      filters.values_.erase(name);
    }
  }
  return filters;
}

void Filters::accept_only(std::initializer_list<std::string_view> names) const {
  for (const auto& [name, values] : values_) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter '{}'", name));
    }
  }
}

const std::vector<std::string>& Filters::values(const std::string& name) const {
  static const std::vector<std::string> kNone;
  auto found = values_.find(name);
  return found == values_.end() ? kNone : found->second;
}

bool Filters::matches_exactly(const std::string& name, std::string_view text) const {
  const auto& wanted = values(name);
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), text) != wanted.end();
}

bool Filters::matches_pattern(const std::string& name, const std::string& text) const {
  const auto& wanted = values(name);
  return wanted.empty() ||
         std::any_of(wanted.begin(), wanted.end(), [&](const auto& value) { return value == text || is_found(value, text); });
}

bool Filters::matches_prefix(const std::string& name, std::string_view text) const {
  const auto& wanted = values(name);
  return wanted.empty() ||
         std::any_of(wanted.begin(), wanted.end(), [&](const std::string& value) { return text.starts_with(value); });
}

bool Filters::matches_labels(const std::string& name, const std::map<std::string, std::string>& labels) const {
  const auto& wanted = values(name);
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& value) {
    size_t equals = value.find('=');
    auto label = labels.find(value.substr(0, equals));
    return label != labels.end() && (equals == std::string::npos || label->second == value.substr(equals + 1));
  });
}

bool Filters::flag(const std::string& name, bool otherwise) const {
  const auto& wanted = values(name);
  if (wanted.empty()) {
    return otherwise;
  }
  if (wanted.size() == 1 && (wanted[0] == "1" || wanted[0] == "true")) {
    return true;
  }
  if (wanted.size() == 1 && (wanted[0] == "0" || wanted[0] == "false")) {
    return false;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid filter '{}=[{}]'", name, fmt::join(wanted, " ")));
}

}  // namespace bulkhead::api
