// Whether a bind mount can be bound to the host's mounts as its propagation asks (mount_namespaces(7), "Shared subtrees"): the
// kernel takes "shared" of any mount, and where the source isn't shared on the host nobody hears of it.
//
// Called by the planner. Reads /proc/thread-self/mountinfo; doesn't block.
#pragma once

#include <cstdint>
#include <string>

namespace bulkhead::runner {

/// `propagation`: MS_SHARED, MS_SLAVE ... Throws kInvalidArgument naming the source, its mount point and what to do. A source
/// that is missing is left to what opens it.
void check_source_propagation(const std::string& source, uint64_t propagation);

}  // namespace bulkhead::runner
