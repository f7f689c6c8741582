// `--security-opt` and seccomp profiles in Docker's format. Pure but for what this kernel is and has.
#pragma once

#include <string>
#include <vector>

#include "oci/runtime_spec.h"

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
/// A profile as Docker writes them (archMap, includes, excludes) or as the OCI runtime spec does, made to fit these
/// capabilities and this kernel. Throws kInvalidArgument.
oci::Seccomp parse_seccomp_profile(const std::string& text, const std::vector<std::string>& granted_capabilities);

}  // namespace bulkhead::engine
