// The engine's settings: `daemon.json` (dockerd's format, as far as its directives are there) and `--exec-opt`, whose one key
// is "isolation", as it is for Docker on Windows.
//
// `read_daemon_settings` reads one file; everything else is pure. Throws kInvalidArgument naming file and directive.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "settings/tls_settings.h"

namespace bulkhead::settings {

inline constexpr const char* kDefaultFile = "/etc/bulkhead/daemon.json";

struct DaemonSettings {
  std::string isolation;         // "process", "hyperv", or "" where nothing is set
  std::string isolation_source;  // where that was set: "--exec-opt", "'/etc/bulkhead/daemon.json'"
  std::vector<std::string> insecure_registries;
  bool debug = false;
  TlsSettings tls;
};

/// "isolation=hyperv" -> "hyperv", "isolation=default" -> "". The value in any case, as `--isolation` has it.
std::string parse_exec_option(std::string_view option);

DaemonSettings parse_daemon_settings(std::string_view text, const std::filesystem::path& file);

enum class Missing { kFine, kError };
/// With kFine a file that isn't there sets nothing: for the default one, which nobody asked for.
DaemonSettings read_daemon_settings(const std::filesystem::path& file, Missing missing);

/// Adds what the command line says. Throws where both set the isolation, as dockerd does: neither is more right.
void add_exec_options(DaemonSettings& settings, const std::vector<std::string>& options);

}  // namespace bulkhead::settings
