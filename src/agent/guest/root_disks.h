// The container's root file system, from two disks: the image (EROFS, read-only) and the container's own changes (ext4), joined
// by overlayfs. Mounted by the agent, outside the container's mount namespace.
#pragma once

#include <filesystem>
#include <vector>

namespace bulkhead::agent {

enum class ImageDisk { kUnmounted, kMounted };

class RootDisks {
 public:
  /// Mounts on `target`, a folder. On failure nothing stays mounted. Throws naming the disk. `image`: what was left of it.
  RootDisks(const std::filesystem::path& target, ImageDisk image);
  ~RootDisks();
  RootDisks(const RootDisks&) = delete;
  RootDisks& operator=(const RootDisks&) = delete;

  /// The container's root, as its upper and lower parts are joined.
  const std::filesystem::path& root() const { return root_; }
  /// Throws where something still uses them; what was written is on the disk afterwards. The image may stay.
  void unmount(ImageDisk image);

 private:
  void mount(const std::filesystem::path& source, const std::filesystem::path& target, const char* type, unsigned long flags,
             const char* options);
  std::filesystem::path root_;
  std::vector<std::filesystem::path> mounted_;
};

}  // namespace bulkhead::agent
