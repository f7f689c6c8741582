#include "engine/json_object.h"

#include <fmt/format.h>

#include <limits>

#include "support/error.h"

namespace bulkhead::engine {

using nlohmann::json;

bool is_empty_value(const json& value) {
  switch (value.type()) {
    case json::value_t::null: return true;
    case json::value_t::string: return value.get_ref<const std::string&>().empty();
    case json::value_t::boolean: return !value.get<bool>();
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: return value.get<int64_t>() == 0;
    case json::value_t::number_float: return value.get<double>() == 0;
    case json::value_t::array:
    case json::value_t::object: return value.empty();
    default: return false;
  }
}

JsonObject::JsonObject(const json& json_value, std::string path) : json_(json_value), path_(std::move(path)) {
  if (!json_.is_object() && !json_.is_null()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} must be an object", path_.empty() ? "the request" : path_));
  }
}

std::string JsonObject::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void JsonObject::wrong_type(std::string_view key, std::string_view expected) const {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{} must be {}", path_of(key), expected));
}

const json* JsonObject::find(const char* key) {
  known_.insert(key);
  if (!json_.is_object()) {
    return nullptr;
  }
  auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::string JsonObject::text_of(std::string_view key, const json& value, std::string_view expected) const {
  if (!value.is_string()) {
    wrong_type(key, expected);
  }
  auto text = value.get<std::string>();
  // SECURITY: everything below speaks C strings: what follows a NUL would be checked here and dropped there.
  if (text.find('\0') != std::string::npos) {
    wrong_type(key, "without NUL bytes");
  }
  return text;
}

void JsonObject::read(const char* key, std::string& target) {
  if (const json* value = find(key)) {
    target = text_of(key, *value, "a string");
  }
}

void JsonObject::read(const char* key, bool& target) {
  if (const json* value = find(key)) {
    if (!value->is_boolean()) {
      wrong_type(key, "true or false");
    }
    target = value->get<bool>();
  }
}

void JsonObject::read(const char* key, std::optional<bool>& target) {
  bool value = false;
  if (find(key) != nullptr) {
    read(key, value);
    target = value;
  }
}

template <typename Integer>
void JsonObject::read_integer(const char* key, Integer& target) {
  const json* value = find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_number_integer()) {
    wrong_type(key, "a whole number");
  }
  // Above the range of int64_t nlohmann stores uint64_t: no option of ours needs those.
  if (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    wrong_type(key, "a smaller number");
  }
  auto number = value->get<int64_t>();
  if (number < static_cast<int64_t>(std::numeric_limits<Integer>::min()) ||
      number > static_cast<int64_t>(std::numeric_limits<Integer>::max())) {
    wrong_type(key, fmt::format("between {} and {}", std::numeric_limits<Integer>::min(), std::numeric_limits<Integer>::max()));
  }
  target = static_cast<Integer>(number);
}

void JsonObject::read(const char* key, int& target) { read_integer(key, target); }
void JsonObject::read(const char* key, int64_t& target) { read_integer(key, target); }
void JsonObject::read(const char* key, uint16_t& target) { read_integer(key, target); }
void JsonObject::read(const char* key, uint32_t& target) { read_integer(key, target); }

void JsonObject::read(const char* key, std::optional<int>& target) {
  int value = 0;
  if (find(key) != nullptr) {
    read(key, value);
    target = value;
  }
}

void JsonObject::read(const char* key, std::optional<int64_t>& target) {
  int64_t value = 0;
  if (find(key) != nullptr) {
    read(key, value);
    target = value;
  }
}

void JsonObject::read(const char* key, std::vector<std::string>& target) {
  const json* value = find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_array()) {
    wrong_type(key, "a list of strings");
  }
  target.clear();
  for (const json& item : *value) {
    target.push_back(text_of(key, item, "a list of strings"));
  }
}

void JsonObject::read(const char* key, std::optional<std::vector<std::string>>& target) {
  std::vector<std::string> value;
  if (find(key) != nullptr) {
    read(key, value);
    target = std::move(value);
  }
}

void JsonObject::read_command(const char* key, std::optional<std::vector<std::string>>& target) {
  const json* value = find(key);
  if (value != nullptr && value->is_string()) {
    target = {text_of(key, *value, "a string")};
    return;
  }
  read(key, target);
}

void JsonObject::read(const char* key, std::map<std::string, std::string>& target) {
  const json* value = find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_object()) {
    wrong_type(key, "an object of strings");
  }
  target.clear();
  for (const auto& [name, item] : value->items()) {
    target[name] = text_of(fmt::format("{}[{}]", key, name), item, "a string");
  }
}

void JsonObject::read_keys(const char* key, std::vector<std::string>& target) {
  const json* value = find(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_object()) {
    wrong_type(key, "an object");
  }
  target.clear();
  for (const auto& [name, item] : value->items()) {
    target.push_back(name);
  }
}

void JsonObject::refuse_rest() const {
  if (!json_.is_object()) {
    return;
  }
  for (const auto& [key, value] : json_.items()) {
    if (!known_.contains(key) && !is_empty_value(value)) {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("{} is not supported by this engine yet (it was {}): leave the option out", path_of(key),
                              value.dump().substr(0, 128)));
    }
  }
}

}  // namespace bulkhead::engine
