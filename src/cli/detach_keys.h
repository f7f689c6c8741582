// The key sequence that leaves an attached container ("ctrl-p,ctrl-q"). The engine acts on it; the client only watches for
// it, to know why the stream ended. Pure; not thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bulkhead::cli {

/// The bytes of "ctrl-p,ctrl-q" or "a,b": ctrl-<a to z, @, [, \, ], ^, _> or single characters. Throws kInvalidArgument.
std::string parse_detach_keys(std::string_view text);

class DetachWatcher {
 public:
  /// Empty `keys`: docker's default, ctrl-p ctrl-q.
  explicit DetachWatcher(std::string_view keys);
  /// What was sent to the container.
  void feed(std::string_view bytes);
  bool seen() const { return seen_; }

 private:
  std::string sequence_;
  size_t matched_ = 0;
  bool seen_ = false;
};

}  // namespace bulkhead::cli
