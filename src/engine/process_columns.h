// What ps(1) would say of processes that only a container's own kernel sees: the columns of `docker top CONTAINER [ps
// options]`. Pure but for the clock.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "task/client.h"

namespace bulkhead::engine {

/// `options` as for ps: "-ef" (where empty), "aux", "-o pid,comm" or "-eo ...". Throws kNotSupported naming what can be asked
/// for.
TopResult inner_table(const std::vector<task::ProcessInfo>& processes, const std::string& options);

}  // namespace bulkhead::engine
