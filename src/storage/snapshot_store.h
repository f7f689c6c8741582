// The writable top of each container: <root>/snapshots/<container id>/{upper,work}, joined with the image's layers by
// overlayfs. The mount itself is made inside the container's mount namespace (see sandbox::SandboxSpec::rootfs), so that
// no mount on the host can outlive the container. Or, for a container with a kernel of its own, two disks (disks.h):
// <root>/snapshots/<container id>/scratch.ext4, and image.erofs beside the image's topmost layer, removed with it.
//
// Thread-safe; functions block on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace bulkhead::storage {

class LayerStore;
class Trash;

/// One mount(2), as containerd's types.Mount says it.
struct MountInstruction {
  std::string type;                  // "overlay"; "erofs", "ext4"
  std::string source;                // "overlay"; the disk
  std::vector<std::string> options;  // "lowerdir=...", "upperdir=...", "workdir=...", or "index=off"; none
};

class SnapshotStore {
 public:
  SnapshotStore(const std::filesystem::path& root, LayerStore& layers);
  ~SnapshotStore();

  /// Makes the folders. `chain_ids` bottom first. References held on the layers are the caller's affair. Throws kConflict where
  /// it exists, kNotFound where a layer is missing.
  void create(const std::string& id, const std::vector<std::string>& chain_ids);
  /// Makes the disks instead; the image's is made once for all containers, which takes about a second for 200 MB. `size`: bytes
  /// that the container may write (disks.h). Errors as `create` and those of disks.h.
  void create_disks(const std::string& id, const std::vector<std::string>& chain_ids, int64_t size);
  /// The disk of which those of containers are copies at first, unless they have a size of their own. Made where it isn't
  /// there.
  std::filesystem::path blank_disk();
  /// How to mount it, or which disks to hand over. lowerdir is kept short (a page limits mount data: mount(2)): 127 layers fit
  /// where the instance's root folder has up to about 20 characters. Throws kNotSupported where they don't.
  ///
  /// kThrowaway: nobody will want what the container wrote once the machine went down (--rm). overlayfs' "volatile" then spares
  /// it the sync of the whole disk that a plain overlay's umount is (3 ms and more), and fsync(2) inside of it.
  enum class Lifetime { kKept, kThrowaway };
  std::vector<MountInstruction> mounts(const std::string& id, Lifetime lifetime = Lifetime::kKept);
  /// Removes it with everything a container wrote; idempotent. The files are deleted in the background.
  void remove(const std::string& id);
  /// Ids on disk, to remove those no container owns after a crash.
  std::vector<std::string> list();
  /// Bytes that the container wrote.
  int64_t writable_size(const std::string& id);
  /// Overlay folders for `docker inspect` GraphDriver: LowerDir (':' joined), UpperDir, WorkDir; the latter empty with disks.
  struct Folders {
    std::string lower, upper, work;
    std::string disk;  // scratch.ext4, or empty
  };
  Folders folders(const std::string& id);

 private:
  std::filesystem::path folder(const std::string& id) const;
  std::filesystem::path make_folder_of(const std::string& id, const std::vector<std::string>& chain_ids);
  std::vector<std::string> lower_names(const std::string& id) const;
  std::filesystem::path image_disk(const std::vector<std::string>& lower) const;
  void need_image_disk(const std::vector<std::string>& lower);

  std::filesystem::path root_;  // "<root>/snapshots"
  LayerStore& layers_;
  std::unique_ptr<Trash> trash_;
  std::mutex image_disks_;         // held while one is made
  bool has_index_option_ = false;  // overlayfs of this kernel knows "index"
};

}  // namespace bulkhead::storage
