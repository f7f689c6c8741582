// What the CPU says of itself. Pure.
#pragma once

#include <string_view>

namespace bulkhead::host {

/// Does the flags line of /proc/cpuinfo have hardware virtualization (vmx or svm)?
bool has_virtualization_flag(std::string_view cpuinfo);

}  // namespace bulkhead::host
