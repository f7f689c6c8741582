// Progress lines of one pull, from several threads to one sink: one call at a time, bars at most ten times a second a layer.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "image/image_store.h"

namespace bulkhead::image {

class ProgressReporter {
 public:
  explicit ProgressReporter(const ProgressSink& sink) : sink_(sink) {}

  void status(const std::string& id, const std::string& text);
  /// Dropped where the last one of this id was less than 100 ms ago.
  void bar(const std::string& id, const std::string& text, int64_t current, int64_t total);

 private:
  const ProgressSink& sink_;
  std::mutex mutex_;
  std::map<std::string, std::chrono::steady_clock::time_point> last_;
};

}  // namespace bulkhead::image
