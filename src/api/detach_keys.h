// The keys by which a user leaves a terminal without ending what runs in it: "ctrl-p,ctrl-q" unless told otherwise.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::api {

/// The bytes of a sequence such as "ctrl-p,ctrl-q" or "ctrl-a,d"; "" means the default. Throws kInvalidArgument in Docker's
/// words where it is none.
std::string parse_detach_keys(std::string_view text);

/// Looks for the sequence in what the user types; holds a beginning of it back until it is clear what it was.
class DetachScanner {
 public:
  explicit DetachScanner(std::string sequence) : sequence_(std::move(sequence)) {}
  /// Appends to `out` what is meant for the terminal. Returns whether the sequence was completed; the rest is dropped then.
  bool scan(std::string_view typed, std::string& out);

 private:
  std::string sequence_;
  size_t matched_ = 0;
};

}  // namespace bulkhead::api
