#include "image/byte_pipe.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "support/error.h"

namespace bulkhead::image {

BytePipe::BytePipe(size_t block_size, size_t block_count)
    : block_size_(block_size), block_count_(block_count), memory_(nullptr), filled_(block_count) {
  void* memory = ::mmap(nullptr, block_size * block_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw system_error("map memory for a pipe");
  }
  memory_ = static_cast<char*>(memory);
}

BytePipe::~BytePipe() { ::munmap(memory_, block_size_ * block_count_); }

std::span<char> BytePipe::room() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return abandoned_ || written_ - read_ < block_count_; });
  if (abandoned_) {
    throw Error(ErrorCode::kUnavailable, "the reader of a pipe is gone");
  }
  return {memory_ + (written_ % block_count_) * block_size_ + position_, block_size_ - position_};
}

void BytePipe::advance(size_t count) {
  position_ += count;
  if (position_ == block_size_) {
    hand_over();
  }
}

void BytePipe::hand_over() {
  {
    std::lock_guard lock(mutex_);
    filled_[written_ % block_count_] = position_;
    ++written_;
  }
  position_ = 0;
  changed_.notify_all();
}

void BytePipe::write(std::string_view bytes) {
  while (!bytes.empty()) {
    std::span<char> space = room();
    size_t count = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), count);
    advance(count);
    bytes.remove_prefix(count);
  }
}

void BytePipe::finish() {
  if (position_ > 0) {
    hand_over();
  }
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
  }
  changed_.notify_all();
}

void BytePipe::fail(std::exception_ptr error) {
  {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
    finished_ = true;
  }
  changed_.notify_all();
}

std::string_view BytePipe::next() {
  std::unique_lock lock(mutex_);
  if (reading_) {
    reading_ = false;
    ++read_;
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return finished_ || written_ > read_; });
  if (error_) {
    std::rethrow_exception(error_);
  }
  if (written_ == read_) {
    return {};
  }
  reading_ = true;
  size_t block = read_ % block_count_;
  return {memory_ + block * block_size_, filled_[block]};
}

void BytePipe::abandon() {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  changed_.notify_all();
}

}  // namespace bulkhead::image
