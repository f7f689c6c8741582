// The seccomp profile of a container that asks for none: what ordinary programs need, and what its capabilities need. An allow
// list with Docker's semantics: everything else fails with EPERM. Pure data.
#pragma once

#include <string>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::runner {

/// `capabilities` ("CAP_SYS_ADMIN") is the bounding set of the container.
oci::Seccomp default_seccomp(const std::vector<std::string>& capabilities);

}  // namespace bulkhead::runner
