#include "image/layer_writer.h"

#include "archive/tar_reader.h"
#include "archive/unpacker.h"
#include "image/decompressor.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

// Blocks small enough to stay in the second-level cache between decompressing, hashing and writing.
constexpr size_t kBlockSize = 256UL << 10;
constexpr size_t kCompressedBlocks = 16;
constexpr size_t kPlainBlocks = 16;

}  // namespace

class LayerWriter::CountedSource : public archive::ChunkSource {
 public:
  CountedSource(archive::ChunkSource& source, std::atomic<int64_t>& count) : source_(source), count_(count) {}
  std::string_view next() override {
    std::string_view bytes = source_.next();
    count_.fetch_add(static_cast<int64_t>(bytes.size()), std::memory_order_relaxed);
    return bytes;
  }

 private:
  archive::ChunkSource& source_;
  std::atomic<int64_t>& count_;
};

LayerWriter::LayerWriter(storage::NewLayer layer)
    : layer_(std::move(layer)), compressed_(kBlockSize, kCompressedBlocks), plain_(kBlockSize, kPlainBlocks) {
  decompressing_ = std::thread([this] { decompress(); });
  try {
    unpacking_ = std::thread([this] { unpack(); });
  } catch (...) {
    stop();
    throw;
  }
}

LayerWriter::~LayerWriter() { stop(); }

void LayerWriter::stop() noexcept {
  if (decompressing_.joinable()) {
    compressed_.fail(std::make_exception_ptr(Error(ErrorCode::kUnavailable, "the layer's source broke off")));
    decompressing_.join();
  }
  if (unpacking_.joinable()) {
    unpacking_.join();
  }
}

void LayerWriter::decompress() {
  try {
    CountedSource source(compressed_, consumed_);
    std::unique_ptr<Decompressor> decompressor = make_decompressor(source);
    oci::Hasher hasher;
    for (;;) {
      std::span<char> room = plain_.room();
      size_t count = decompressor->read(room);
      if (count == 0) {
        break;
      }
      hasher.update({room.data(), count});
      plain_.advance(count);
    }
    diff_id_ = hasher.finish();
    plain_.finish();
  } catch (...) {
    plain_.fail(std::current_exception());
  }
  compressed_.abandon();
}

void LayerWriter::unpack() {
  try {
    archive::TarReader reader(plain_);
    archive::Unpacker unpacker(layer_.folder());
    size_ = unpacker.unpack(reader);
    reader.drain();
  } catch (...) {
    error_ = std::current_exception();
  }
  plain_.abandon();
}

void LayerWriter::write(std::string_view bytes) {
  try {
    compressed_.write(bytes);
  } catch (const Error&) {
    // The pipe is abandoned: say why, if that is known already.
    stop();
    if (error_) {
      std::rethrow_exception(error_);
    }
    throw;
  }
}

LayerWriter::Result LayerWriter::finish() {
  compressed_.finish();
  decompressing_.join();
  unpacking_.join();
  if (error_) {
    std::rethrow_exception(error_);
  }
  return {.layer = std::move(layer_), .diff_id = *diff_id_, .size = size_};
}

}  // namespace bulkhead::image
