#include "cli/frame_reader.h"

#include <algorithm>
#include <optional>

#include "support/error.h"

namespace bulkhead::cli {

void FrameReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      std::string_view piece = bytes.substr(0, left_);
      sink_(frame_.type, piece);
      left_ -= piece.size();
      bytes.remove_prefix(piece.size());
      continue;
    }
    size_t count = std::min(header_.size() - header_size_, bytes.size());
    std::copy_n(bytes.begin(), count, header_.begin() + static_cast<std::ptrdiff_t>(header_size_));
    header_size_ += count;
    bytes.remove_prefix(count);
    if (header_size_ < header_.size()) {
      return;
    }
    header_size_ = 0;
    std::optional<http::FrameHeader> frame = http::parse_frame_header(header_);
    if (!frame) {
      throw Error(ErrorCode::kDataLoss, "the engine's output stream is damaged: a frame was expected");
    }
    frame_ = *frame;
    left_ = frame_.size;
  }
}

void FrameReader::finish() const {
  if (left_ > 0 || header_size_ > 0) {
    throw Error(ErrorCode::kDataLoss, "the engine's output stream broke off inside a frame");
  }
}

}  // namespace bulkhead::cli
