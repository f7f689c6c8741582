// Files in memory (memfd_create(2)) that belong to descriptors alone: nothing of them is left when those are closed.
#pragma once

#include <cstdint>

#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

/// An empty one of `size` bytes that may be sealed. Sparse.
UniqueFd make_memory_file(const char* name, uint64_t size);

/// SECURITY: nobody can write to it any more, nor change its size, by whatever descriptor or private mapping; not even root can
/// undo this. Throws kConflict where somebody has it mapped for writing.
void seal(const UniqueFd& file);

/// The same file, opened again for reading only.
UniqueFd reopen_for_reading(const UniqueFd& file);

}  // namespace bulkhead::sandbox::vm
