// Seccomp profiles in Docker's format. Pure but for which kernel this is.
#pragma once

#include <string>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::oci {

/// A profile as Docker writes them (archMap, includes, excludes) or as the OCI runtime spec does, made to fit these
/// capabilities and this kernel. Throws kInvalidArgument.
Seccomp parse_seccomp_profile(const std::string& text, const std::vector<std::string>& granted_capabilities);

}  // namespace bulkhead::oci
