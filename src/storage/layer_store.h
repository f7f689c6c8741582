// Read-only layers, unpacked once and shared by every container and image that names them, keyed by chain id (OCI image-spec,
// "Layer ChainID"): <root>/layers/<hex>/diff, with a short name <root>/l/<short> for mounts. A layer appears by rename once it
// is whole, so a crash leaves only <root>/layers/.new-*, which the next start removes.
//
// No file of a layer is fsynced. A committed layer carries the kernel's boot id until a background syncfs(2) has run; one that
// still carries another boot's id at start may be damaged by a power loss, and is dropped together with those on top of it.
//
// Thread-safe; functions block on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead {
class Database;
}

namespace bulkhead::storage {

struct LayerInfo {
  std::string chain_id, diff_id, parent_chain_id;  // "sha256:<hex>"; parent "" at the bottom
  int64_t size = 0;                                // bytes of content
};

/// A layer being written: removed again unless committed.
class NewLayer {
 public:
  NewLayer(NewLayer&&) noexcept;
  NewLayer& operator=(NewLayer&&) = delete;
  ~NewLayer();
  /// The empty folder to unpack into, opened O_PATH | O_DIRECTORY.
  int folder() const;

 private:
  friend class LayerStore;
  struct State;
  explicit NewLayer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Keeps a layer (and those below it) while the object lives. In memory only: ends with the process. Must not outlive the
/// store.
class LayerPin {
 public:
  LayerPin() = default;
  LayerPin(LayerPin&& other) noexcept;
  LayerPin& operator=(LayerPin&& other) noexcept;
  ~LayerPin();
  const LayerInfo& info() const { return info_; }

 private:
  friend class LayerStore;
  void drop() noexcept;
  void* store_ = nullptr;  // LayerStore::State
  LayerInfo info_;
};

class LayerStore {
 public:
  /// `root` must hold none of ":,\" (overlayfs separates its options by them).
  LayerStore(const std::filesystem::path& root, Database& database);
  ~LayerStore();

  std::optional<LayerInfo> find(const std::string& chain_id);
  NewLayer begin();
  /// Makes the layer visible and pins it. Where another writer was first, this one's copy is dropped.
  LayerPin commit(NewLayer layer, const std::string& diff_id, const std::string& parent_chain_id, int64_t size);
  /// nullopt where there is no such layer.
  std::optional<LayerPin> pin(const std::string& chain_id);

  /// References keep a layer and those below it (images and containers hold one on their topmost layer each). They are rows of
  /// the database: take part in the caller's transaction, and survive restarts. Throws kNotFound.
  void reference(const std::string& chain_id);
  /// A layer that nothing keeps any more is deleted in the background, then its parents.
  void release(const std::string& chain_id);
  /// Deletes what nothing keeps now. Not inside a transaction.
  void collect();

  /// "<root>/layers/<hex>/diff".
  std::filesystem::path folder(const std::string& chain_id) const;
  /// The layer's name in link_folder(): few characters. Throws kNotFound.
  std::string short_name(const std::string& chain_id);
  /// "<root>/l": symbolic links to the layers' folders; "0" is an empty one.
  std::filesystem::path link_folder() const;

  /// Layer chain ids of `a` on top of `parent`: sha256("parent diff").
  static std::string chain_id(const std::string& parent_chain_id, const std::string& diff_id);

 private:
  friend class LayerPin;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::storage
