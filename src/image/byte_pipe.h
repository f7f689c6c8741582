// Bytes from one thread to another through a fixed number of blocks: the faster side waits for the slower.
// One thread writes, one thread reads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "archive/chunk_source.h"

namespace bulkhead::image {

class BytePipe : public archive::ChunkSource {
 public:
  BytePipe(size_t block_size, size_t block_count);
  ~BytePipe() override;

  // The writer's side. Each throws kUnavailable once the reader has abandoned the pipe.
  /// Room for at least one byte in the current block; waits for a free one.
  std::span<char> room();
  /// `count` bytes were put into room(); a full block is handed over.
  void advance(size_t count);
  void write(std::string_view bytes);
  /// No more bytes.
  void finish();
  /// The reader's next() will throw this.
  void fail(std::exception_ptr error);

  // The reader's side.
  std::string_view next() override;
  /// Nothing more will be read.
  void abandon();

 private:
  void hand_over();

  const size_t block_size_;
  const size_t block_count_;
  char* memory_;                // block_count_ blocks, mapped: goes back to the kernel when the pipe ends
  std::vector<size_t> filled_;  // bytes in each block
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t written_ = 0, read_ = 0;  // blocks ever handed over, ever freed; block n lies at n modulo block_count_
  size_t position_ = 0;            // the writer's, in its current block
  bool reading_ = false;           // block read_ is held by the reader
  bool finished_ = false, abandoned_ = false;
  std::exception_ptr error_;
};

}  // namespace bulkhead::image
