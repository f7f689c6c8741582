#include "linux/capability.h"

#include <fmt/format.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cctype>

#include "support/error.h"

namespace bulkhead::linux {

unsigned last_capability() {
  static const unsigned last = [] {
    unsigned capability = 0;
    while (capability < 63 && ::prctl(PR_CAPBSET_READ, capability + 1, 0, 0, 0) >= 0) {
      ++capability;
    }
    return capability;
  }();
  return last;
}

uint64_t capability_mask(const std::vector<std::string>& names) {
  uint64_t mask = 0;
  for (const std::string& name : names) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    cap_value_t value = 0;
    if (!lower.starts_with("cap_") || ::cap_from_name(lower.c_str(), &value) != 0 || value < 0 || value > 63) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a capability", name));
    }
    if (static_cast<unsigned>(value) <= last_capability()) {
      mask |= 1ULL << static_cast<unsigned>(value);
    }
  }
  return mask;
}

}  // namespace bulkhead::linux
