// The capabilities that Linux has (capabilities(7)). Pure data.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::oci {

/// "CAP_CHOWN", ..., in the order of their numbers; what the kernel at hand doesn't know is left out by the runner.
const std::vector<std::string>& all_capabilities();

}  // namespace bulkhead::oci
