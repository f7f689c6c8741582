// gzip (ISA-L), zstd and plain bytes, told apart by their first bytes. Streams: memory does not depend on what the input says
// of itself (a zstd window is at most 128 MiB). One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "archive/chunk_source.h"

namespace bulkhead::image {

class Decompressor {
 public:
  Decompressor() = default;
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  virtual ~Decompressor() = default;
  /// Fills `out` with up to its size of decompressed bytes; 0 at the end. Throws kDataLoss (corrupt, truncated, garbage behind
  /// the end) or kNotSupported (xz, bzip2: named).
  virtual size_t read(std::span<char> out) = 0;
};

/// Reads the first bytes of `source`, which must outlive the result.
std::unique_ptr<Decompressor> make_decompressor(archive::ChunkSource& source);

/// A decompressor as a source of pieces, for readers in the same thread.
class DecompressedSource : public archive::ChunkSource {
 public:
  explicit DecompressedSource(archive::ChunkSource& source);
  ~DecompressedSource() override;
  std::string_view next() override;

 private:
  std::unique_ptr<Decompressor> decompressor_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace bulkhead::image
