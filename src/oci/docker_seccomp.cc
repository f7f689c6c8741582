#include "oci/docker_seccomp.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "support/error.h"

namespace bulkhead::oci {
namespace {

using nlohmann::json;

#if defined(__x86_64__)
constexpr const char* kArchitecture = "amd64";
constexpr const char* kSeccompArchitecture = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
constexpr const char* kSeccompArchitecture = "SCMP_ARCH_AARCH64";
#else
#error "name this architecture as Docker's seccomp profiles do"
#endif

Error invalid_profile(std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("Decoding seccomp profile failed: {}", why)};
}

bool lists(const json& filter, const char* key, std::string_view wanted) {
  auto list = filter.find(key);
  return list != filter.end() && list->is_array() && std::any_of(list->begin(), list->end(), [&](const json& item) {
           return item.is_string() && item.get<std::string>() == wanted;
         });
}

bool is_given(const json& filter, const char* key) {
  auto list = filter.find(key);
  return list != filter.end() && !list->is_null() && !list->empty();
}

std::pair<int, int> kernel_version() {
  utsname name{};
  std::pair<int, int> version;
  // NOLINTNEXTLINE(cert-err34-c): the kernel's own text.
  if (uname(&name) != 0 || std::sscanf(name.release, "%d.%d", &version.first, &version.second) != 2) {
    throw Error(ErrorCode::kInternal, "the kernel's release is not a version");
  }
  return version;
}

bool kernel_is_at_least(const json& filter) {
  std::pair<int, int> wanted;
  // NOLINTNEXTLINE(cert-err34-c): the count of conversions is checked.
  if (std::sscanf(filter.at("minKernel").get<std::string>().c_str(), "%d.%d", &wanted.first, &wanted.second) != 2) {
    throw invalid_profile("minKernel is not a version such as 4.8");
  }
  return kernel_version() >= wanted;
}

/// A rule's "includes" or "excludes". SECURITY: a condition that isn't understood must not make an allowing rule unconditional.
json filter_of(const json& rule, const char* key) {
  auto found = rule.find(key);
  if (found == rule.end() || found->is_null()) {
    return json::object();
  }
  if (!found->is_object()) {
    throw invalid_profile(fmt::format("'{}' is not an object", key));
  }
  for (const auto& [name, value] : found->items()) {
    bool is_list = (name == "caps" || name == "arches") && (value.is_array() || value.is_null());
    if (!is_list && name != "minKernel") {
      throw invalid_profile(fmt::format("'{}.{}' is not a condition", key, name));
    }
  }
  return *found;
}

bool applies(const json& rule, const std::vector<std::string>& granted) {
  auto has = [&](const json& name) {
    return name.is_string() && std::find(granted.begin(), granted.end(), name.get<std::string>()) != granted.end();
  };
  json excludes = filter_of(rule, "excludes");
  json includes = filter_of(rule, "includes");
  bool excluded = lists(excludes, "arches", kArchitecture) ||
                  (is_given(excludes, "caps") && std::any_of(excludes["caps"].begin(), excludes["caps"].end(), has)) ||
                  (is_given(excludes, "minKernel") && kernel_is_at_least(excludes));
  bool included = (!is_given(includes, "arches") || lists(includes, "arches", kArchitecture)) &&
                  (!is_given(includes, "caps") || std::all_of(includes["caps"].begin(), includes["caps"].end(), has)) &&
                  (!is_given(includes, "minKernel") || kernel_is_at_least(includes));
  return included && !excluded;
}

json converted_rule(const json& rule) {
  json converted = json::object();
  for (const char* key : {"names", "action", "errnoRet", "args"}) {
    if (rule.contains(key) && !rule[key].is_null()) {
      converted[key] = rule[key];
    }
  }
  if (is_given(rule, "name")) {
    if (is_given(rule, "names")) {
      throw invalid_profile("both 'name' and 'names' are specified in a rule, use either");
    }
    converted["names"] = json::array({rule["name"]});
  }
  return converted;
}

json converted_architectures(const json& profile) {
  if (!is_given(profile, "archMap")) {
    return profile.value("architectures", json::array());
  }
  if (is_given(profile, "architectures")) {
    throw invalid_profile("both 'architectures' and 'archMap' are specified in the seccomp profile, use either");
  }
  for (const json& entry : profile["archMap"]) {
    if (entry.value("architecture", "") == kSeccompArchitecture) {
      json architectures = json::array({kSeccompArchitecture});
      if (is_given(entry, "subArchitectures")) {
        architectures.insert(architectures.end(), entry["subArchitectures"].begin(), entry["subArchitectures"].end());
      }
      return architectures;
    }
  }
  return json::array();
}

}  // namespace

Seccomp parse_seccomp_profile(const std::string& text, const std::vector<std::string>& granted_capabilities) {
  try {
    json profile = json::parse(text);
    if (!profile.is_object()) {
      throw invalid_profile("it is not a JSON object");
    }
    json converted = {{"architectures", converted_architectures(profile)}, {"syscalls", json::array()}};
    for (const char* key : {"defaultAction", "defaultErrnoRet", "flags", "listenerPath"}) {
      if (profile.contains(key) && !profile[key].is_null()) {
        converted[key] = profile[key];
      }
    }
    json rules = profile.value("syscalls", json::array());
    if (!rules.is_array() && !rules.is_null()) {
      throw invalid_profile("'syscalls' is not a list");
    }
    for (const json& rule : rules) {
      if (!rule.is_object()) {
        throw invalid_profile("an entry of 'syscalls' is not an object");
      }
      if (applies(rule, granted_capabilities)) {
        converted["syscalls"].push_back(converted_rule(rule));
      }
    }
    return parse_seccomp(converted.dump());
  } catch (const json::exception& error) {
    throw invalid_profile(error.what());
  }
}

}  // namespace bulkhead::oci
