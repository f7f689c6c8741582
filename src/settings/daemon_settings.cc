#include "settings/daemon_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::settings {
namespace {

using nlohmann::json;

constexpr size_t kMaxFile = 1UL << 20;

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::vector<std::string> texts(const json& value, std::string_view directive) {
  std::vector<std::string> list;
  if (!value.is_array()) {
    throw invalid(fmt::format("'{}' is not a list", directive));
  }
  for (const json& item : value) {
    if (!item.is_string()) {
      throw invalid(fmt::format("'{}' is not a list of strings", directive));
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

bool truth(const json& value, std::string_view directive) {
  if (!value.is_boolean()) {
    throw invalid(fmt::format("'{}' is neither true nor false", directive));
  }
  return value.get<bool>();
}

std::string text(const json& value, std::string_view directive) {
  if (!value.is_string()) {
    throw invalid(fmt::format("'{}' is not a string", directive));
  }
  return value.get<std::string>();
}

std::string isolation_of(const std::vector<std::string>& options) {
  std::optional<std::string> isolation;
  for (const std::string& option : options) {
    std::string said = parse_exec_option(option);
    if (isolation && *isolation != said) {
      throw invalid(fmt::format("these exec options contradict each other: {}; keep one isolation", fmt::join(options, ", ")));
    }
    isolation = said;
  }
  return isolation.value_or("");
}

void read_directive(const std::string& name, const json& value, DaemonSettings& settings) {
  if (name == "exec-opts") {
    settings.isolation = isolation_of(texts(value, name));
  } else if (name == "insecure-registries") {
    settings.insecure_registries = texts(value, name);
  } else if (name == "debug") {
    settings.debug = truth(value, name);
  } else if (name == "tls") {
    settings.tls.tls = truth(value, name);
  } else if (name == "tlsverify") {
    settings.tls.verify = truth(value, name);
  } else if (name == "tlscacert") {
    settings.tls.ca = text(value, name);
  } else if (name == "tlscert") {
    settings.tls.certificate = text(value, name);
  } else if (name == "tlskey") {
    settings.tls.key = text(value, name);
  } else {
    throw invalid(
        fmt::format("the following directives don't match any configuration option: {}; there are exec-opts, "
                    "insecure-registries, debug, tls, tlsverify, tlscacert, tlscert and tlskey",
                    name));
  }
}

}  // namespace

std::string parse_exec_option(std::string_view option) {
  size_t equals = option.find('=');
  std::string_view key = option.substr(0, equals);
  if (equals == std::string_view::npos || key != "isolation") {
    throw invalid(fmt::format("unknown exec option '{}': there is isolation=process and isolation=hyperv", option));
  }
  std::string value(option.substr(equals + 1));
  std::transform(value.begin(), value.end(), value.begin(), [](unsigned char letter) { return std::tolower(letter); });
  if (value == "default") {
    return "";
  }
  if (value != "process" && value != "hyperv") {
    throw invalid(fmt::format("invalid exec option '{}': the isolation is default, process or hyperv", option));
  }
  return value;
}

DaemonSettings parse_daemon_settings(std::string_view text, const std::filesystem::path& file) {
  DaemonSettings settings;
  try {
    json document = json::parse(text);
    if (!document.is_object()) {
      throw invalid("it is no JSON object");
    }
    for (const auto& [name, value] : document.items()) {
      read_directive(name, value, settings);
    }
  } catch (const json::exception& error) {
    throw invalid(
        fmt::format("unable to configure the engine with file '{}': not valid JSON: {}", file.native(), error.what()));
  } catch (const Error& error) {
    throw error.wrap(fmt::format("unable to configure the engine with file '{}'", file.native()));
  }
  if (!settings.isolation.empty()) {
    settings.isolation_source = fmt::format("'{}'", file.native());
  }
  return settings;
}

DaemonSettings read_daemon_settings(const std::filesystem::path& file, Missing missing) {
  std::string text;
  try {
    text = read_file(file, kMaxFile);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound && missing == Missing::kFine) {
      return {};
    }
    throw;
  }
  return parse_daemon_settings(text, file);
}

void add_exec_options(DaemonSettings& settings, const std::vector<std::string>& options) {
  if (options.empty()) {
    return;
  }
  std::string isolation = isolation_of(options);
  if (!settings.isolation_source.empty()) {
    throw invalid(fmt::format("the isolation is set both by --exec-opt (isolation={}) and in {} (isolation={}): take one away",
                              isolation.empty() ? "default" : isolation, settings.isolation_source, settings.isolation));
  }
  settings.isolation = std::move(isolation);
  settings.isolation_source = settings.isolation.empty() ? "" : "--exec-opt";
}

}  // namespace bulkhead::settings
