#include "support/sparse_copy.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "support/error.h"

namespace bulkhead {

void copy_sparse(int from, int to) {
  std::vector<char> bytes(256UL << 10);
  off_t begin = 0;
  while ((begin = ::lseek(from, begin, SEEK_DATA)) >= 0) {
    off_t end = ::lseek(from, begin, SEEK_HOLE);
    while (begin < end) {
      ssize_t count = ::pread(from, bytes.data(), std::min(bytes.size(), static_cast<size_t>(end - begin)), begin);
      if (count <= 0 || ::pwrite(to, bytes.data(), static_cast<size_t>(count), begin) != count) {
        throw system_error("copy a disk");
      }
      begin += count;
    }
  }
  if (errno != ENXIO) {  // no data beyond: the end
    throw system_error("copy a disk");
  }
}

}  // namespace bulkhead
