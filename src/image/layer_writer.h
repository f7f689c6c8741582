// One layer on its way into the layer store: whoever has its bytes (compressed or not) writes them here as they arrive, while
// two threads of this object decompress and hash, and unpack. Nothing becomes visible before the caller commits the result.
// One thread writes.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <thread>

#include "image/byte_pipe.h"
#include "oci/digest.h"
#include "storage/layer_store.h"

namespace bulkhead::image {

class LayerWriter {
 public:
  explicit LayerWriter(storage::NewLayer layer);
  /// Ends the threads; the unpacked files are removed unless finish() gave them away.
  ~LayerWriter();
  LayerWriter(const LayerWriter&) = delete;
  LayerWriter& operator=(const LayerWriter&) = delete;

  /// Blocks where unpacking is slower. Throws what unpacking ran into.
  void write(std::string_view bytes);

  struct Result {
    storage::NewLayer layer;
    oci::Digest diff_id;  // of what was really unpacked
    int64_t size;
  };
  /// No more bytes: waits until all is unpacked. Throws what unpacking ran into.
  Result finish();

  /// Compressed bytes that unpacking has taken so far.
  int64_t consumed() const { return consumed_.load(std::memory_order_relaxed); }

 private:
  class CountedSource;
  void decompress();
  void unpack();
  void stop() noexcept;

  storage::NewLayer layer_;
  BytePipe compressed_;
  BytePipe plain_;
  std::atomic<int64_t> consumed_ = 0;
  std::optional<oci::Digest> diff_id_;
  int64_t size_ = 0;
  std::exception_ptr error_;  // of the unpacking thread
  std::thread decompressing_, unpacking_;
};

}  // namespace bulkhead::image
