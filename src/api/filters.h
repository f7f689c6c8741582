// The `filters` query parameter: {"name": ["a", "b"]} or, as the docker client sends it, {"name": {"a": true, "b": true}}.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::api {

class Filters {
 public:
  Filters() = default;
  /// Of the parameter's text; "" is no filter. Throws kInvalidArgument where it isn't of one of the two shapes.
  static Filters parse(const std::string& text);
  /// Throws kInvalidArgument "invalid filter 'x'" where one has another name.
  void accept_only(std::initializer_list<std::string_view> names) const;

  bool has(const std::string& name) const { return values_.count(name) != 0; }
  const std::vector<std::string>& values(const std::string& name) const;

  // Each is true where there is no filter of that name.
  /// One of the values is exactly this.
  bool matches_exactly(const std::string& name, std::string_view text) const;
  /// One of the values is this, or a regular expression (POSIX extended) that is found in it.
  bool matches_pattern(const std::string& name, const std::string& text) const;
  /// One of the values is this or the beginning of it.
  bool matches_prefix(const std::string& name, std::string_view text) const;
  /// Every value is "key" or "key=value" of a label.
  bool matches_labels(const std::string& name, const std::map<std::string, std::string>& labels) const;
  /// The one value, as a truth. Throws kInvalidArgument "invalid filter 'name=[x]'" where it is none.
  bool flag(const std::string& name, bool otherwise) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

}  // namespace bulkhead::api
