#include "image/cancel.h"

#include <algorithm>
#include <thread>

#include "support/error.h"

namespace bulkhead::image {

void throw_if_cancelled(const CancelToken& token) {
  if (is_cancelled(token)) {
    throw Error(ErrorCode::kUnavailable, "context canceled");
  }
}

void sleep_unless_cancelled(std::chrono::milliseconds time, const CancelToken& token) {
  constexpr std::chrono::milliseconds kStep(100);
  for (; time.count() > 0; time -= kStep) {
    throw_if_cancelled(token);
    std::this_thread::sleep_for(std::min(time, kStep));
  }
  throw_if_cancelled(token);
}

}  // namespace bulkhead::image
