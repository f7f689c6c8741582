#include "policy/decision.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace bulkhead::policy {

using nlohmann::json;

namespace {

json walls_json(const Walls& walls) {
  return {{"read_only_root", walls.read_only_root},
          {"no_new_privileges", walls.no_new_privileges},
          {"drop_capabilities", walls.drop_capabilities},
          {"kernels", walls.kernels},
          {"seccomp", walls.seccomp},
          {"separate_environments", walls.separation == Separation::kEnvironments}};
}

Walls walls_of_json(const json& value) {
  Walls walls;
  walls.read_only_root = value.at("read_only_root");
  walls.no_new_privileges = value.at("no_new_privileges");
  walls.drop_capabilities = value.at("drop_capabilities").get<std::set<std::string>>();
  walls.kernels = value.value("kernels", std::set<std::string>());  // records of before have none
  walls.seccomp = value.at("seccomp").get<std::set<std::string>>();
  walls.separation = value.at("separate_environments").get<bool>() ? Separation::kEnvironments : Separation::kTenants;
  return walls;
}

}  // namespace

std::string Decision::text() const {
  std::string source = rule.empty() ? (file.empty() ? "there is no policy" : fmt::format("policy {}", file))
                                    : fmt::format("policy rule '{}' ({}:{})", rule, file, line);
  std::string verdict_text = verdict == Verdict::kAllowed ? fmt::format("{} isolation", name(mode)) : "refused";
  return fmt::format("{}: {}{}{}", source, verdict_text, because.empty() ? "" : ": ", because);
}

json to_json(const Decision& decision) {
  json factors = json::array();
  for (Factor factor : decision.factors) {
    factors.push_back(name(factor));
  }
  json value = {{"verdict", decision.verdict == Verdict::kAllowed ? "allowed" : "denied"},
                {"because", decision.because},
                {"rule", decision.rule},
                {"line", decision.line},
                {"file", decision.file},
                {"walls", walls_json(decision.walls)},
                {"factors", factors},
                {"tenant", decision.identity.tenant},
                {"environment", decision.identity.environment}};
  value["mode"] = decision.verdict == Verdict::kAllowed ? json(name(decision.mode)) : json(nullptr);
  value["alternative"] = decision.alternative ? json(name(*decision.alternative)) : json(nullptr);
  return value;
}

Decision decision_of_json(const nlohmann::json& value) {
  Decision decision;
  decision.verdict = value.at("verdict") == "allowed" ? Verdict::kAllowed : Verdict::kDenied;
  if (value.at("mode").is_string()) {
    decision.mode = mode_of(value.at("mode").get<std::string>()).value_or(Mode::kHyperv);
  }
  if (value.at("alternative").is_string()) {
    decision.alternative = mode_of(value.at("alternative").get<std::string>());
  }
  decision.because = value.at("because");
  decision.rule = value.at("rule");
  decision.line = value.at("line");
  decision.file = value.at("file");
  decision.walls = walls_of_json(value.at("walls"));
  for (const auto& words : value.at("factors")) {
    if (auto factor = factor_of(words.get<std::string>())) {
      decision.factors.push_back(*factor);
    }
  }
  decision.identity = {.tenant = value.at("tenant"), .environment = value.at("environment")};
  return decision;
}

}  // namespace bulkhead::policy
