#include "doctor/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace bulkhead::doctor {
namespace {

using nlohmann::ordered_json;

const char* word(Health health) {
  switch (health) {
    case Health::kOk: return "ok";
    case Health::kWeak: return "weak";
    case Health::kMissing: return "MISSING";
  }
  return "?";
}

const char* word(Need need) { return need == Need::kProcess ? "process" : "hyperv"; }

std::string section(const Checks& checks, Need need) {
  std::string text = fmt::format("{} isolation\n", word(need));
  for (const Check& check : checks) {
    if (check.need != need) {
      continue;
    }
    text += fmt::format("  {:<8} {:<20} {}\n", word(check.health), check.subject, check.found);
    if (!check.remedy.empty()) {
      text += fmt::format("  {:<8} {:<20}   -> {}\n", "", "", check.remedy);
    }
  }
  return text;
}

std::string conclusion(const Checks& checks, Need need) {
  auto count = std::count_if(checks.begin(), checks.end(), [&](const Check& check) {
    return check.health == Health::kMissing && (check.need == need || check.need == Need::kProcess);
  });
  return count == 0 ? fmt::format("{} isolation works on this host.\n", word(need))
                    : fmt::format("{} isolation does not work on this host: {} missing.\n", word(need), count);
}

}  // namespace

bool works(const Checks& checks, Need need) {
  return std::none_of(checks.begin(), checks.end(), [&](const Check& check) {
    return check.health == Health::kMissing && (check.need == need || check.need == Need::kProcess);
  });
}

std::string report_text(const Checks& checks) {
  return section(checks, Need::kProcess) + "\n" + section(checks, Need::kHyperv) + "\n" + conclusion(checks, Need::kProcess) +
         conclusion(checks, Need::kHyperv);
}

std::string report_json(const Checks& checks) {
  ordered_json list = ordered_json::array();
  for (const Check& check : checks) {
    std::string health = word(check.health);
    std::transform(health.begin(), health.end(), health.begin(), [](unsigned char letter) { return std::tolower(letter); });
    list.push_back({{"Mode", word(check.need)},
                    {"Subject", check.subject},
                    {"Health", health},
                    {"Found", check.found},
                    {"Remedy", check.remedy}});
  }
  ordered_json answer = {{"Process", {{"Works", works(checks, Need::kProcess)}}},
                         {"Hyperv", {{"Works", works(checks, Need::kHyperv)}}},
                         {"Checks", std::move(list)}};
  return answer.dump(4, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace bulkhead::doctor
