// Which kernel a process runs on, as that process would find it: asked in its own UTS namespace and read from its own /proc.
#pragma once

#include <sys/types.h>

namespace bulkhead::facts {

class Kernel;
class LocalFiles;

/// Throws naming what can't be asked; what was found until then stays.
void fill_kernel_seen_by(pid_t pid, const LocalFiles& files, Kernel& kernel);
/// As this process finds it.
void fill_own_kernel(Kernel& kernel);

}  // namespace bulkhead::facts
