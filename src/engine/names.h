// Names for containers that were not given one ("amber_lighthouse").
#pragma once

#include <string>

namespace bulkhead::engine {

std::string random_name();
/// Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+ . Throws kInvalidArgument in Docker's words.
void check_name(const std::string& name);

}  // namespace bulkhead::engine
