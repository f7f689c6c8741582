// Mounts that nobody else sees: made in a thread with a mount namespace of its own, gone with it (mount_namespaces(7)).
#pragma once

#include <functional>

namespace bulkhead::linux {

/// Runs `body` in a short-lived thread whose mount namespace is a private copy of the caller's; programs started by it see its
/// mounts. Blocks until it is done, and throws what it throws.
void with_private_mounts(const std::function<void()>& body);

}  // namespace bulkhead::linux
