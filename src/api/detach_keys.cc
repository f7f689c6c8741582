#include "api/detach_keys.h"

#include <fmt/format.h>

#include "support/error.h"

namespace bulkhead::api {
namespace {

/// The byte of one key, or -1. ctrl-@ .. ctrl-_ are the control characters 0 to 31 (ECMA-48).
int byte_of(std::string_view key) {
  if (key.size() == 1) {
    return static_cast<unsigned char>(key[0]);
  }
  if (key.size() != 6 || !key.starts_with("ctrl-")) {
    return -1;
  }
  char letter = key[5];
  if (letter >= 'a' && letter <= 'z') {
    return letter - 'a' + 1;
  }
  if (letter == '@' || (letter >= '[' && letter <= '_')) {
    return letter - '@';
  }
  return -1;
}

}  // namespace

std::string parse_detach_keys(std::string_view text) {
  std::string_view rest = text.empty() ? "ctrl-p,ctrl-q" : text;
  std::string sequence;
  for (;;) {
    size_t comma = rest.find(',');
    int byte = byte_of(rest.substr(0, comma));
    if (byte < 0) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("Invalid detach keys ({}) provided", text));
    }
    sequence += static_cast<char>(byte);
    if (comma == std::string_view::npos) {
      return sequence;
    }
    rest.remove_prefix(comma + 1);
  }
}

bool DetachScanner::scan(std::string_view typed, std::string& out) {
  for (char letter : typed) {
    while (matched_ > 0 && letter != sequence_[matched_]) {
      // The longest shorter beginning that what was held back also ends with; the bytes before it are the terminal's.
      size_t shorter = matched_ - 1;
      while (sequence_.compare(matched_ - shorter, shorter, sequence_, 0, shorter) != 0) {
        --shorter;
      }
      out.append(sequence_, 0, matched_ - shorter);
      matched_ = shorter;
    }
    if (letter != sequence_[matched_]) {
      out += letter;
    } else if (++matched_ == sequence_.size()) {
      return true;
    }
  }
  return false;
}

}  // namespace bulkhead::api
