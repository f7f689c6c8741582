// A VM that the keeper started is in none of its new container's cgroups for some milliseconds. Whoever cleans up after a shim
// that was killed then finds it by a note in the container's state folder: it must not write to the container's disk any more.
//
// Any thread.
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace bulkhead::sandbox::vm {

/// Throws where the note can't be written, or there is no such process.
void note_adopted(const std::filesystem::path& state_folder, pid_t machine);
/// Ends the noted VM, where it still runs, and waits for its end (10 seconds at most).
void kill_adopted(const std::filesystem::path& state_folder) noexcept;

}  // namespace bulkhead::sandbox::vm
