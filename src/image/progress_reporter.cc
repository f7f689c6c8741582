#include "image/progress_reporter.h"

namespace bulkhead::image {
namespace {

constexpr std::chrono::milliseconds kInterval(100);

}  // namespace

void ProgressReporter::status(const std::string& id, const std::string& text) {
  std::lock_guard lock(mutex_);
  if (sink_) {
    sink_({.id = id, .status = text});
  }
}

void ProgressReporter::bar(const std::string& id, const std::string& text, int64_t current, int64_t total) {
  std::lock_guard lock(mutex_);
  auto now = std::chrono::steady_clock::now();
  auto& last = last_[id];
  if (!sink_ || now - last < kInterval) {
    return;
  }
  last = now;
  sink_({.id = id, .status = text, .current = current, .total = total});
}

}  // namespace bulkhead::image
