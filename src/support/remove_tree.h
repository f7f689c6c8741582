// Deletes a folder with everything below it, however deep and however hostile its content. Blocks on the disk.
#pragma once

#include <atomic>
#include <string>

namespace bulkhead {

/// Removes `name` (a file, a link or a whole folder) inside the folder `parent`. Missing is fine. Never follows a symbolic
/// link, uses two descriptors at any depth. Returns early where `stop` becomes true. Throws naming `name`; kConflict where
/// something is mounted in it.
void remove_tree(int parent, const std::string& name, const std::atomic<bool>* stop = nullptr);

}  // namespace bulkhead
