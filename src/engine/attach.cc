// Clients at a container's streams: those who came before it ran wait here for their stream.
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/engine_state.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

class HeldAttachment : public Attachment {
 public:
  explicit HeldAttachment(std::shared_ptr<PendingAttachment> pending) : pending_(std::move(pending)) {}
  int ready() const override { return pending_->ready(); }
  UniqueFd take() override { return pending_->take(); }

 private:
  std::shared_ptr<PendingAttachment> pending_;
};

}  // namespace

PendingAttachment::PendingAttachment(AttachOptions options)
    : options_(options), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) {
    throw system_error("create an eventfd");
  }
}

void PendingAttachment::resolve(UniqueFd stream) {
  std::lock_guard lock(mutex_);
  stream_ = std::move(stream);
  uint64_t one = 1;
  // Can't fail: the counter is far from its end (eventfd(2)).
  [[maybe_unused]] ssize_t written = ::write(event_.get(), &one, sizeof one);
}

UniqueFd PendingAttachment::take() {
  std::lock_guard lock(mutex_);
  return std::move(stream_);
}

std::unique_ptr<Attachment> Engine::attach(const std::string& reference, const AttachOptions& options) {
  LivePointer live = state_->find(reference);
  auto pending = std::make_shared<PendingAttachment>(options);
  Container record;
  {
    std::lock_guard lock(live->mutex);
    record = live->record;
    if (record.status == Status::kPaused) {
      throw Error(ErrorCode::kConflict, fmt::format("Container {} is paused, unpause the container before attach", record.id));
    }
    if (live->removed || record.status == Status::kRemoving) {
      throw Error(ErrorCode::kConflict, fmt::format("container {} is being removed", record.id));
    }
    if (record.status != Status::kRunning) {
      // Clients that left before the start would pile up otherwise.
      std::erase_if(live->attachments, [](const auto& other) { return other.use_count() == 1; });
      live->attachments.push_back(pending);
    }
  }
  if (record.status == Status::kRunning) {
    bool close = record.config.stdin_once;
    pending->resolve(task::attach({.bundle = state_->bundle(record.id),
                                   .exec_id = "",
                                   .in = options.in && record.config.open_stdin,
                                   .out = options.out,
                                   .err = options.err,
                                   .stdin_at_end = close ? task::StdinAtEnd::kClose : task::StdinAtEnd::kKeep}));
  }
  state_->publish(record, "attach");
  return std::make_unique<HeldAttachment>(std::move(pending));
}

}  // namespace bulkhead::engine
