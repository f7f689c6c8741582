// Disks of containers that have a kernel of their own: an image as one read-only EROFS file, a container's changes as one
// sparse ext4 file. The host makes them and never mounts them: what a guest wrote is for guests to read.
//
// All disks have the same nominal size, as a machine that was saved and is run again can't see one grow.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace bulkhead::storage {

inline constexpr int64_t kDiskSize = 64LL << 30;  // bytes, nominal; what isn't written takes no place

/// The layers (folders, topmost first, at least one) as they look joined. `work` is an empty folder to mount on. Written under
/// another name first, and on the disk when this returns. Takes about a second for 200 MB. Throws kNotSupported where the
/// program is missing, kResourceExhausted where the disk is full.
void make_image_disk(const std::filesystem::path& disk, const std::vector<std::filesystem::path>& layers,
                     const std::filesystem::path& work);

/// Keeps an empty ext4 of kDiskSize at `blank`; nothing where it is there. Errors as above.
void make_blank_disk(const std::filesystem::path& blank);

/// An empty ext4 of `size` bytes (of kDiskSize at most). `blank` is a file to keep an empty one of kDiskSize in: copying that
/// is quicker than making one. Errors as above.
void make_scratch_disk(const std::filesystem::path& disk, int64_t size, const std::filesystem::path& blank);

/// Bytes that a sparse file takes.
int64_t allocated_size(const std::filesystem::path& file);

}  // namespace bulkhead::storage
