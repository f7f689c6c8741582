// A transfer's end by its client: the token, and waits that notice it.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

namespace bulkhead::image {

using CancelToken = std::shared_ptr<std::atomic<bool>>;

inline bool is_cancelled(const CancelToken& token) { return token && token->load(std::memory_order_relaxed); }
/// Throws kUnavailable "context canceled" (Docker's words).
void throw_if_cancelled(const CancelToken& token);
/// Sleeps; throws as above as soon as the token is set.
void sleep_unless_cancelled(std::chrono::milliseconds time, const CancelToken& token);

}  // namespace bulkhead::image
