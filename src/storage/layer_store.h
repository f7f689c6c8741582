// Read-only layers, unpacked once and shared by every container and image that names them, keyed by chain id (OCI image-spec,
// "Layer ChainID"): <root>/layers/<hex>/diff. A layer appears by rename once it is whole, so a crash leaves only
// <root>/layers/.new-*, which the next start removes.
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

class LayerStore {
 public:
  LayerStore(std::filesystem::path root, Database& database);
  ~LayerStore();

  std::optional<LayerInfo> find(const std::string& chain_id);
  NewLayer begin();
  /// Makes the layer visible. Where another writer was first, this one's copy is dropped. Takes a reference for the caller.
  LayerInfo commit(NewLayer layer, const std::string& diff_id, const std::string& parent_chain_id, int64_t size);
  /// References keep a layer (images and containers hold them). A layer whose last one is dropped is deleted, then its
  /// parents'.
  void reference(const std::string& chain_id);
  void release(const std::string& chain_id);
  /// "<root>/layers/<hex>/diff".
  std::filesystem::path folder(const std::string& chain_id) const;

  /// Layer chain ids of `a` on top of `parent`: sha256("parent diff").
  static std::string chain_id(const std::string& parent_chain_id, const std::string& diff_id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::storage
