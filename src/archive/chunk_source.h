// Bytes that arrive piece by piece, without being copied. One thread.
#pragma once

#include <string_view>

namespace bulkhead::archive {

class ChunkSource {
 public:
  ChunkSource() = default;
  ChunkSource(const ChunkSource&) = delete;
  ChunkSource& operator=(const ChunkSource&) = delete;
  virtual ~ChunkSource() = default;
  /// The next bytes, empty at the end; valid until the next call. Blocks. Throws what broke the source.
  virtual std::string_view next() = 0;
};

}  // namespace bulkhead::archive
