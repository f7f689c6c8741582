#include "cli/detach_keys.h"

#include <fmt/format.h>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

char parse_key(std::string_view key, std::string_view whole) {
  constexpr std::string_view kControl = "ctrl-";
  if (key.size() == 1) {
    return key.front();
  }
  if (key.starts_with(kControl) && key.size() == kControl.size() + 1) {
    char letter = key.back();
    if (letter >= 'a' && letter <= 'z') {
      return static_cast<char>(letter - 'a' + 1);
    }
    if (letter >= '@' && letter <= '_' && !(letter >= 'A' && letter <= 'Z')) {
      return static_cast<char>(letter - '@');
    }
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("invalid detach keys '{}': '{}' is no key; write them as in ctrl-p,ctrl-q", whole, key));
}

}  // namespace

std::string parse_detach_keys(std::string_view text) {
  std::string keys;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t comma = rest.find(',');
    keys += parse_key(rest.substr(0, comma), text);
    if (comma == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(comma + 1);
    if (rest.empty()) {
      parse_key("", text);
    }
  }
  return keys;
}

DetachWatcher::DetachWatcher(std::string_view keys) : sequence_(keys.empty() ? "\x10\x11" : parse_detach_keys(keys)) {}

void DetachWatcher::feed(std::string_view bytes) {
  for (char byte : bytes) {
    if (byte != sequence_[matched_]) {
      matched_ = 0;
    }
    if (byte == sequence_[matched_] && ++matched_ == sequence_.size()) {
      seen_ = true;
      matched_ = 0;
    }
  }
}

}  // namespace bulkhead::cli
