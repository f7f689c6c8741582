// Typed, strict reading of one JSON object: a wrong type or an out-of-range number is kInvalidArgument naming the property.
// Private to src/oci. Absent and null properties leave the destination as it was.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/error.h"

namespace bulkhead::oci {

class JsonReader {
 public:
  using Json = nlohmann::json;

  /// `where` is the object's own path in the document ("linux.resources"), empty for the document itself.
  JsonReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not an object", where_.empty() ? "document" : where_));
    }
  }

  const std::string& where() const { return where_; }
  std::string path(std::string_view key) const { return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key); }

  /// The property, or nullptr where it is absent or null.
  const Json* find(const char* key) const {
    auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  template <typename T>
  void read(const char* key, T& out) const {
    if (const Json* value = find(key)) {
      convert(*value, path(key), out);
    }
  }

  template <typename T>
  void require(const char* key, T& out) const {
    if (find(key) == nullptr) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is missing", path(key)));
    }
    read(key, out);
  }

  /// Calls `function(JsonReader)` with the object at `key`, if there is one.
  template <typename Function>
  void object(const char* key, Function function) const {
    if (const Json* value = find(key)) {
      function(JsonReader(*value, path(key)));
    }
  }

  /// Calls `function(JsonReader)` for each object of the array at `key`.
  template <typename Function>
  void each(const char* key, Function function) const {
    const Json* value = find(key);
    if (value == nullptr) {
      return;
    }
    if (!value->is_array()) {
      throw wrong_type(path(key), "an array");
    }
    for (size_t index = 0; index < value->size(); ++index) {
      function(JsonReader((*value)[index], fmt::format("{}[{}]", path(key), index)));
    }
  }

  /// SECURITY: a property that would change confinement and that this project doesn't implement is refused, not dropped.
  /// Empty arrays, objects and strings mean "not set" and pass.
  void refuse(const char* key, std::string_view reason = {}) const {
    const Json* value = find(key);
    if (value == nullptr || (value->is_structured() && value->empty()) ||
        (value->is_string() && value->get_ref<const std::string&>().empty())) {
      return;
    }
    throw Error(ErrorCode::kNotSupported,
                fmt::format("'{}' is not supported{}{}", path(key), reason.empty() ? "" : ": ", reason));
  }

 private:
  static Error wrong_type(const std::string& path, std::string_view wanted) {
    return {ErrorCode::kInvalidArgument, fmt::format("'{}' is not {}", path, wanted)};
  }

  static void convert(const Json& value, const std::string& path, std::string& out) {
    if (!value.is_string()) {
      throw wrong_type(path, "a string");
    }
    out = value.get_ref<const std::string&>();
    // SECURITY: these strings reach system calls as C strings: a NUL would make the kernel see another text than was checked.
    if (out.find('\0') != std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' contains a NUL byte", path));
    }
  }
  static void convert(const Json& value, const std::string& path, bool& out) {
    if (!value.is_boolean()) {
      throw wrong_type(path, "a boolean");
    }
    out = value.get<bool>();
  }
  template <std::integral T>
  static void convert(const Json& value, const std::string& path, T& out) {
    if (value.is_number_unsigned() && std::in_range<T>(value.get<uint64_t>())) {
      out = static_cast<T>(value.get<uint64_t>());
    } else if (value.is_number_integer() && !value.is_number_unsigned() && std::in_range<T>(value.get<int64_t>())) {
      out = static_cast<T>(value.get<int64_t>());
    } else {
      throw wrong_type(path,
                       fmt::format("an integer from {} to {}", std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }
  }
  template <typename T>
  static void convert(const Json& value, const std::string& path, std::optional<T>& out) {
    T converted{};
    convert(value, path, converted);
    out = std::move(converted);
  }
  template <typename T>
  static void convert(const Json& value, const std::string& path, std::vector<T>& out) {
    if (!value.is_array()) {
      throw wrong_type(path, "an array");
    }
    out.clear();
    for (const Json& element : value) {
      convert(element, path, out.emplace_back());
    }
  }
  static void convert(const Json& value, const std::string& path, std::map<std::string, std::string>& out) {
    if (!value.is_object()) {
      throw wrong_type(path, "an object");
    }
    out.clear();
    for (const auto& [key, element] : value.items()) {
      convert(element, fmt::format("{}.{}", path, key), out[key]);
    }
  }

  const Json& object_;
  std::string where_;
};

/// Parses `text`, throwing kInvalidArgument naming `what` where it is not JSON.
inline nlohmann::json parse_json(std::string_view text, std::string_view what) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} is not JSON: {}", what, error.what()));
  }
}

}  // namespace bulkhead::oci
