// Archives of layers, compressed or not: read to their end, nothing unpacked.
#include <cstddef>
#include <cstdint>
#include <string>

#include "archive/archive_path.h"
#include "archive/tar_reader.h"
#include "image/decompressor.h"
#include "support/error.h"

namespace {

/// One piece, then the end.
class OnePiece : public bulkhead::archive::ChunkSource {
 public:
  explicit OnePiece(std::string_view bytes) : bytes_(bytes) {}
  std::string_view next() override { return std::exchange(bytes_, {}); }

 private:
  std::string_view bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  OnePiece bytes({reinterpret_cast<const char*>(data), size});
  try {
    bulkhead::image::DecompressedSource source(bytes);
    bulkhead::archive::TarReader reader(source);
    bulkhead::archive::TarReader::Piece piece;
    for (bulkhead::archive::TarEntry entry; reader.next(entry);) {
      bulkhead::archive::clean_archive_path(entry.name);
      uint64_t end = 0;
      while (reader.read(piece)) {
        if (piece.offset < end || piece.offset + piece.bytes.size() > entry.size) {
          __builtin_trap();
        }
        end = piece.offset + piece.bytes.size();
      }
    }
    reader.drain();
  } catch (const bulkhead::Error&) {
  }
  return 0;
}
