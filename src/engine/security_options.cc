#include "engine/security_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

bool apparmor_is_enabled() {
  try {
    return read_file("/sys/module/apparmor/parameters/enabled").starts_with('Y');
  } catch (const Error&) {
    return false;
  }
}

bool parse_flag(const std::string& value, const std::string& option) {
  if (value == "true" || value == "1") {
    return true;
  }
  if (value == "false" || value == "0") {
    return false;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid --security-opt 2: \"{}\"", option));
}

/// SECURITY: a profile that would not be enforced is refused, never dropped.
std::string checked_apparmor_profile(const std::string& profile) {
  if (profile == "unconfined") {
    return "";
  }
  if (!apparmor_is_enabled()) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("--security-opt apparmor={}: AppArmor is not enabled on this host; leave the option out, or enable "
                            "AppArmor with the kernel parameter apparmor=1",
                            profile));
  }
  return profile;
}

}  // namespace

SecurityOptions parse_security_options(const std::vector<std::string>& options) {
  SecurityOptions parsed;
  for (const std::string& option : options) {
    if (option == "no-new-privileges") {
      parsed.no_new_privileges = true;
      continue;
    }
    // "key:value" is Docker's older way of writing it.
    size_t separator = std::min(option.find('='), option.find(':'));
    if (separator == std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid --security-opt 1: \"{}\"", option));
    }
    std::string key = option.substr(0, separator);
    std::string value = option.substr(separator + 1);
    if (key == "no-new-privileges") {
      parsed.no_new_privileges = parse_flag(value, option);
    } else if (key == "seccomp") {
      bool is_named = value == "unconfined" || value == "builtin" || value == "default";
      parsed.seccomp = value == "unconfined" ? SeccompChoice::kUnconfined
                       : is_named            ? SeccompChoice::kDefault
                                             : SeccompChoice::kCustom;
      parsed.seccomp_profile = is_named ? "" : value;
    } else if (key == "apparmor") {
      parsed.apparmor_profile = checked_apparmor_profile(value);
    } else if (key == "label") {
      if (value != "disable") {
        throw Error(ErrorCode::kNotSupported,
                    fmt::format("--security-opt {}: SELinux labels are not supported by this engine yet", option));
      }
    } else {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid --security-opt 2: \"{}\"", option));
    }
  }
  return parsed;
}

}  // namespace bulkhead::engine
