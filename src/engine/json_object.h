// Reads a JSON object property by property and remembers which were asked for, so that what nobody asked for can be refused
// where it has a value. Errors name the property with its path: "HostConfig.Memory must be a whole number".
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::engine {

class JsonObject {
 public:
  /// `json` must outlive this. Throws kInvalidArgument where it is neither an object nor null.
  JsonObject(const nlohmann::json& json, std::string path);

  /// Absent and null leave `target` as it is.
  void read(const char* key, std::string& target);
  void read(const char* key, bool& target);
  void read(const char* key, std::optional<bool>& target);
  void read(const char* key, int& target);
  void read(const char* key, int64_t& target);
  void read(const char* key, uint16_t& target);
  void read(const char* key, uint32_t& target);
  void read(const char* key, std::optional<int>& target);
  void read(const char* key, std::optional<int64_t>& target);
  void read(const char* key, std::vector<std::string>& target);
  void read(const char* key, std::optional<std::vector<std::string>>& target);
  void read(const char* key, std::map<std::string, std::string>& target);
  /// A command: a list of strings, or one string that stands for a list of itself.
  void read_command(const char* key, std::optional<std::vector<std::string>>& target);
  /// A set written as an object of empty objects ({"80/tcp": {}}): its keys.
  void read_keys(const char* key, std::vector<std::string>& target);
  /// The value, or nullptr where absent or null.
  const nlohmann::json* find(const char* key);
  std::string path_of(std::string_view key) const;
  /// The property may have any value: it changes nothing about the container.
  void ignore(const char* key) { known_.insert(key); }
  /// Refuses each property that nobody read and that has a value other than null, "", 0, false, [] and {}.
  void refuse_rest() const;

 private:
  template <typename Integer>
  void read_integer(const char* key, Integer& target);
  std::string text_of(std::string_view key, const nlohmann::json& value, std::string_view expected) const;
  [[noreturn]] void wrong_type(std::string_view key, std::string_view expected) const;

  const nlohmann::json& json_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
};

/// Null, "", 0, false, [] and {}: what clients send for an option that wasn't given.
bool is_empty_value(const nlohmann::json& value);

}  // namespace bulkhead::engine
