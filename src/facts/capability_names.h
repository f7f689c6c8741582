// Sets of capabilities (capabilities(7)) by name and as bits. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::facts {

/// "CAP_CHOWN" ...; one that has no name here is "CAP_41".
std::vector<std::string> capability_names(uint64_t bits);
/// Names that are none are left out.
uint64_t capability_bits(const std::vector<std::string>& names);

}  // namespace bulkhead::facts
