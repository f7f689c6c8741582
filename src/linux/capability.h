// capabilities(7) by name and as the kernel's bit sets. Pure but for reading the kernel's highest capability once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bulkhead::linux {

/// Bit n is capability n. kInvalidArgument for a word that never was a capability; a capability that this kernel doesn't know
/// yet can't be given and is left out, as runc does.
uint64_t capability_mask(const std::vector<std::string>& names);

/// The kernel's highest capability number.
unsigned last_capability();

}  // namespace bulkhead::linux
