// What a client uploads, as pieces. One thread.
#pragma once

#include <memory>

#include "archive/chunk_source.h"
#include "image/image_store.h"

namespace bulkhead::image {

class ClientStream : public archive::ChunkSource {
 public:
  explicit ClientStream(const ImageStore::ByteSource& read) : read_(read), buffer_(std::make_unique<char[]>(kSize)) {}
  std::string_view next() override { return {buffer_.get(), read_(buffer_.get(), kSize)}; }

 private:
  static constexpr size_t kSize = 256UL << 10;
  const ImageStore::ByteSource& read_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace bulkhead::image
