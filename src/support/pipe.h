// A pipe(2): both ends, closed on exec. Whoever gives one end to a child closes its own copy, or the end of the stream never
// comes. Not thread-safe.
#pragma once

#include "support/unique_fd.h"

namespace bulkhead {

struct Pipe {
  Pipe();  // throws where there are no descriptors left

  UniqueFd read, write;
};

}  // namespace bulkhead
