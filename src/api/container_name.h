// What a container may be called.
#pragma once

#include <string>

namespace bulkhead::api {

/// The name without a leading '/'. Throws kInvalidArgument in Docker's words.
std::string checked_name(std::string name);

}  // namespace bulkhead::api
