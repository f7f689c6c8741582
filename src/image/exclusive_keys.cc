#include "image/exclusive_keys.h"

#include <utility>

namespace bulkhead::image {
namespace {

// How soon a waiting thread notices that its client has gone.
constexpr std::chrono::milliseconds kCancelCheck(200);

}  // namespace

ExclusiveKeys::Hold::Hold(Hold&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), key_(std::move(other.key_)) {}

ExclusiveKeys::Hold& ExclusiveKeys::Hold::operator=(Hold&& other) noexcept {
  if (this != &other) {
    release();
    owner_ = std::exchange(other.owner_, nullptr);
    key_ = std::move(other.key_);
  }
  return *this;
}

void ExclusiveKeys::Hold::release() noexcept {
  if (owner_ == nullptr) {
    return;
  }
  {
    std::lock_guard lock(owner_->mutex_);
    owner_->held_.erase(key_);
  }
  owner_->changed_.notify_all();
  owner_ = nullptr;
}

ExclusiveKeys::Hold ExclusiveKeys::acquire(const std::string& key, const CancelToken& cancel) {
  std::unique_lock lock(mutex_);
  while (held_.contains(key)) {
    throw_if_cancelled(cancel);
    changed_.wait_for(lock, kCancelCheck);
  }
  held_.insert(key);
  Hold hold;
  hold.owner_ = this;
  hold.key_ = key;
  return hold;
}

std::unique_ptr<Slots::Hold> Slots::acquire(const CancelToken& cancel) {
  std::unique_lock lock(mutex_);
  while (free_ == 0) {
    throw_if_cancelled(cancel);
    changed_.wait_for(lock, kCancelCheck);
  }
  --free_;
  return std::make_unique<Hold>(*this);
}

Slots::Hold::~Hold() {
  {
    std::lock_guard lock(owner_.mutex_);
    ++owner_.free_;
  }
  owner_.changed_.notify_all();
}

}  // namespace bulkhead::image
