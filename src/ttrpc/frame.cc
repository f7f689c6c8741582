#include "ttrpc/frame.h"

#include <fmt/format.h>

#include "support/error.h"

namespace bulkhead::ttrpc {
namespace {

void put_be32(std::string& out, uint32_t value) {
  out.push_back(static_cast<char>(value >> 24));
  out.push_back(static_cast<char>(value >> 16));
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}

uint32_t get_be32(const char* bytes) {
  const auto* in = reinterpret_cast<const unsigned char*>(bytes);
  return uint32_t{in[0]} << 24 | uint32_t{in[1]} << 16 | uint32_t{in[2]} << 8 | uint32_t{in[3]};
}

}  // namespace

std::string encode_frame(uint32_t stream, FrameType type, uint8_t flags, std::string_view data) {
  if (data.size() > kMaxData) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a ttrpc message of {} bytes is over the limit of {}", data.size(), kMaxData));
  }
  std::string frame;
  frame.reserve(kHeaderSize + data.size());
  put_be32(frame, static_cast<uint32_t>(data.size()));
  put_be32(frame, stream);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  frame.append(data);
  return frame;
}

void FrameReader::feed(std::string_view bytes) {
  if (used_ > 0) {
    buffer_.erase(0, used_);
    used_ = 0;
  }
  buffer_.append(bytes);
}

std::optional<Frame> FrameReader::next() {
  if (buffered() < kHeaderSize) {
    return std::nullopt;
  }
  const char* header = buffer_.data() + used_;
  size_t length = get_be32(header);
  // SECURITY: refused before a byte of it is awaited, so that a peer can't make us hold more than one largest frame.
  if (length > kMaxData) {
    throw Error(ErrorCode::kDataLoss, fmt::format("a ttrpc frame claims {} bytes, over the limit of {}", length, kMaxData));
  }
  auto type = static_cast<uint8_t>(header[8]);
  if (type < static_cast<uint8_t>(FrameType::kRequest) || type > static_cast<uint8_t>(FrameType::kData)) {
    throw Error(ErrorCode::kDataLoss, fmt::format("a ttrpc frame has unknown type {}", type));
  }
  if (buffered() < kHeaderSize + length) {
    return std::nullopt;
  }
  Frame frame{.stream = get_be32(header + 4), .type = static_cast<FrameType>(type), .flags = static_cast<uint8_t>(header[9])};
  frame.data.assign(header + kHeaderSize, length);
  used_ += kHeaderSize + length;
  if (used_ == buffer_.size()) {
    buffer_.clear();
    used_ = 0;
    if (buffer_.capacity() > (64UL << 10)) {
      buffer_.shrink_to_fit();  // one large message must not be held for the life of a shim
    }
  }
  return frame;
}

}  // namespace bulkhead::ttrpc
