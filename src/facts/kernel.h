// Which kernel a process runs on, as that process would find it: asked in its own UTS namespace and read from its own /proc.
#pragma once

#include <sys/types.h>

#include "support/unique_fd.h"

namespace bulkhead::facts {

class Kernel;

/// Throws naming what can't be asked; what was found until then stays.
void fill_kernel_seen_by(pid_t pid, Kernel& kernel);
/// As this process finds it.
void fill_own_kernel(Kernel& kernel);

/// A file or folder below a process's root. SECURITY: everything there may be the container's: no link is followed, nothing
/// leads out, and opening does not wait. Invalid where it isn't there.
UniqueFd open_in_root_of(pid_t pid, const char* path, int flags);

}  // namespace bulkhead::facts
