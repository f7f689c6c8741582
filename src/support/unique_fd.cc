#include "support/unique_fd.h"

#include <unistd.h>

#include "support/error.h"

namespace bulkhead {

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) {
    // On Linux the descriptor is gone even after EINTR (close(2)): never retry.
    ::close(fd_);
  }
  fd_ = fd;
}

void UniqueFd::close() {
  if (fd_ >= 0 && ::close(release()) != 0) {
    throw system_error("close a file");
  }
}

}  // namespace bulkhead
