// The writable top of each container: <root>/snapshots/<container id>/{upper,work}, joined with the image's layers by
// overlayfs. The mount itself is made inside the container's mount namespace (see sandbox::SandboxSpec::rootfs), so that
// no mount on the host can outlive the container.
//
// Thread-safe; functions block on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bulkhead {
class Database;
}

namespace bulkhead::storage {

class LayerStore;

/// One mount(2), as containerd's types.Mount says it.
struct MountInstruction {
  std::string type;                  // "overlay"
  std::string source;                // "overlay"
  std::vector<std::string> options;  // "lowerdir=...", "upperdir=...", "workdir=...", or "index=off"
};

class SnapshotStore {
 public:
  SnapshotStore(std::filesystem::path root, LayerStore& layers);

  /// Makes the folders. `chain_ids` bottom first. References held on the layers are the caller's affair. Throws kConflict where
  /// it exists.
  void create(const std::string& id, const std::vector<std::string>& chain_ids);
  /// How to mount it. lowerdir is kept short (a page limits mount data: mount(2)): up to 127 layers work.
  std::vector<MountInstruction> mounts(const std::string& id);
  /// Removes it with everything a container wrote; idempotent.
  void remove(const std::string& id);
  /// Ids on disk, to remove those no container owns after a crash.
  std::vector<std::string> list();
  /// Bytes that the container wrote.
  int64_t writable_size(const std::string& id);
  /// Overlay folders for `docker inspect` GraphDriver: LowerDir (':' joined), UpperDir, WorkDir.
  struct Folders {
    std::string lower, upper, work;
  };
  Folders folders(const std::string& id);

 private:
  std::filesystem::path root_;
  LayerStore& layers_;
};

}  // namespace bulkhead::storage
