// A VM's own end of a network: a tap that QEMU holds by its descriptor, wherever the device itself is.
//
// The guest agrees with its network card once, as it boots, about what the card does for it (checksums, large segments). So
// every VM has a tap of the same kind from the start; one that has no network yet has it in an empty namespace, where
// network_link.h reaches it.
#pragma once

#include <string>

#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

inline constexpr const char* kTapName = "bulkhead-tap";

/// In the calling thread's network namespace. Goes with its last descriptor.
UniqueFd make_tap();

struct IdleTap {
  UniqueFd file;
  UniqueFd network_namespace;  // holds nothing else; goes with the tap and this
};

/// A tap that leads nowhere. Works in a thread of its own.
IdleTap make_idle_tap();

}  // namespace bulkhead::sandbox::vm
