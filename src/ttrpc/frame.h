// ttrpc's frames (containerd/ttrpc PROTOCOL.md, "Message Frame"): a ten-byte header, then data.
//
// Bytes from a peer are hostile: lengths are checked before anything is stored. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::ttrpc {

inline constexpr size_t kHeaderSize = 10;
inline constexpr size_t kMaxData = 4UL << 20;  // bytes; the protocol's limit

enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

struct Frame {
  uint32_t stream = 0;
  FrameType type = FrameType::kRequest;
  uint8_t flags = 0;
  std::string data;
};

/// Header and data. Throws kInvalidArgument where `data` is over kMaxData.
std::string encode_frame(uint32_t stream, FrameType type, uint8_t flags, std::string_view data);

/// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  /// Takes more bytes of the stream.
  void feed(std::string_view bytes);
  /// The next whole frame, or nullopt where more bytes are needed. Throws kDataLoss for a frame over kMaxData or of unknown
  /// type: the stream is then lost, as there is no way to find the next frame.
  std::optional<Frame> next();
  /// Bytes held: never more than one largest frame and one feed.
  size_t buffered() const { return buffer_.size() - used_; }

 private:
  std::string buffer_;
  size_t used_ = 0;  // bytes at the front already given out
};

}  // namespace bulkhead::ttrpc
