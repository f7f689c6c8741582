// `--security-opt`. Pure but for what this kernel has.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::engine {

enum class SeccompChoice { kDefault, kUnconfined, kCustom };

struct SecurityOptions {
  bool no_new_privileges = false;
  SeccompChoice seccomp = SeccompChoice::kDefault;
  std::string seccomp_profile;   // JSON, where kCustom: clients send the file's text
  std::string apparmor_profile;  // "": none
};

/// Throws kInvalidArgument for what isn't an option, kNotSupported for what this host can't enforce.
SecurityOptions parse_security_options(const std::vector<std::string>& options);
}  // namespace bulkhead::engine
