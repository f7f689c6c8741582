// From YAML to a policy: every key of the language, and every mistake in it with its line and column. Made for one file.
#pragma once

#include <string>
#include <string_view>

#include "policy/policy.h"
#include "policy/yaml_tree.h"

namespace bulkhead::policy {

class PolicyReader {
 public:
  explicit PolicyReader(std::string file) : file_(std::move(file)) {}
  Policy read(std::string_view text);

 private:
  void read_version(YamlMap& map) const;
  void read_rules(const YamlNode& list);
  Rule read_rule(const YamlNode& node, size_t number);
  void read_outcome(YamlMap& map, Rule& rule);
  void read_modes(const YamlNode& node, Outcome outcome, Rule& rule);
  void read_factors(YamlMap& map, Rule& rule) const;
  Walls read_walls(const YamlNode& node);
  void check_kernel(const std::string& text, const YamlNode& at) const;
  void check_reason(const YamlMap& map, const Rule& rule) const;
  void warn(const YamlNode& at, const std::string& message);

  std::string file_;
  Policy policy_;
};

}  // namespace bulkhead::policy
