// Copies what is in a sparse file and leaves its holes out (lseek(2), SEEK_DATA).
#pragma once

namespace bulkhead {

/// Both are descriptors; `to` is an empty file of the same size. Blocks for as long as the disk does. Throws kResourceExhausted
/// where that is full.
void copy_sparse(int from, int to);

}  // namespace bulkhead
