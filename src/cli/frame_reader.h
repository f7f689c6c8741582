// Takes the frames of an attached container apart into standard output and standard error ("Stream format" in the Engine
// API). Fed with bytes as they come, in pieces of any size; holds no more than a frame's header. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <string_view>

#include "http/message.h"

namespace bulkhead::cli {

class FrameReader {
 public:
  using Sink = std::function<void(http::StreamType, std::string_view)>;
  explicit FrameReader(Sink sink) : sink_(std::move(sink)) {}

  /// Throws kDataLoss where the bytes are no frames.
  void feed(std::string_view bytes);
  /// The stream ended. Throws kDataLoss where that was inside a frame.
  void finish() const;

 private:
  Sink sink_;
  std::array<char, http::kFrameHeaderSize> header_{};
  size_t header_size_ = 0;
  http::FrameHeader frame_{};
  size_t left_ = 0;  // bytes of the current frame still to come
};

}  // namespace bulkhead::cli
