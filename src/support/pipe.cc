#include "support/pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include "support/error.h"

namespace bulkhead {

Pipe::Pipe() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw system_error("make a pipe");
  }
  read.reset(ends[0]);
  write.reset(ends[1]);
}

}  // namespace bulkhead
