// The command line of a containerd shim (containerd, runtime/v2/README.md): `start`, `delete` and `-v`.
#pragma once

#include "shim/isolation_registry.h"

namespace bulkhead::shim {

/// What main() returns. Errors go to standard error as one line; exit code 1.
int run_command(int argc, char** argv, const IsolationRegistry& isolations);

}  // namespace bulkhead::shim
