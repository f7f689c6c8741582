#include "cli/json_fields.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::cli {

using nlohmann::json;

const json& field(const json& object, const char* key) {
  static const json kNull;
  auto found = object.find(key);  // the end where it is no object
  return found == object.end() ? kNull : *found;
}

std::string text_at(const json& object, const char* key) {
  const json& value = field(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

int64_t number_at(const json& object, const char* key) {
  const json& value = field(object, key);
  return value.is_number() ? value.get<int64_t>() : 0;
}

bool flag_at(const json& object, const char* key) {
  const json& value = field(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::vector<std::string> texts_at(const json& object, const char* key) {
  std::vector<std::string> texts;
  const json& list = field(object, key);
  for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
    if (list[i].is_string()) {
      texts.push_back(list[i].get<std::string>());
    }
  }
  return texts;
}

std::string required_text(const json& object, const char* key) {
  std::string text = text_at(object, key);
  if (text.empty()) {
    throw Error(ErrorCode::kDataLoss, fmt::format("the engine's answer has no '{}'", key));
  }
  return text;
}

}  // namespace bulkhead::cli
