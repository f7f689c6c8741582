// The runtime spec's weights, which are version 1's, as version 2 of the cgroups has them. Pure.
#pragma once

#include <algorithm>
#include <cstdint>

namespace bulkhead::oci {

inline constexpr uint64_t kLeastShares = 2, kMostShares = 262'144;

/// `linux.resources.cpu.shares`, 2 to 262144, onto cpu.weight's 1 to 10000; what is beyond is cut off.
constexpr uint64_t cpu_weight(uint64_t shares) {
  return 1 + (std::clamp(shares, kLeastShares, kMostShares) - kLeastShares) * 9999 / (kMostShares - kLeastShares);
}

/// `linux.resources.blockIO.weight`, 10 to 1000, onto io.weight's 1 to 10000.
constexpr uint64_t io_weight(uint64_t weight) { return 1 + (std::clamp<uint64_t>(weight, 10, 1000) - 10) * 9999 / 990; }

}  // namespace bulkhead::oci
