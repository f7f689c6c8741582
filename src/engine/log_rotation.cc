#include "engine/log_rotation.h"

#include <fmt/format.h>

#include <charconv>

#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr int kMostFiles = 1000;  // what the shim keeps at most

int64_t parse_size(const std::string& text) {
  size_t used = 0;
  int64_t number = 0;
  try {
    number = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  std::string unit = text.substr(used);
  int64_t factor = 0;
  if (unit.empty() || unit == "b") {
    factor = 1;
  } else if (unit == "k" || unit == "kb" || unit == "K") {
    factor = 1LL << 10;
  } else if (unit == "m" || unit == "mb" || unit == "M") {
    factor = 1LL << 20;
  } else if (unit == "g" || unit == "gb" || unit == "G") {
    factor = 1LL << 30;
  }
  if (used == 0 || number <= 0 || factor == 0 || number > (1LL << 50) / factor) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid size '{}' in a log option: use a number with k, m or g", text));
  }
  return number * factor;
}

int parse_count(const std::string& text) {
  int count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count > kMostFiles) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid value '{}' for the log option max-file: a number from 1 to {}", text, kMostFiles));
  }
  if (count < 1) {
    throw Error(ErrorCode::kInvalidArgument, "max-file cannot be less than 1");
  }
  return count;
}

}  // namespace

std::string LogRotation::query() const {
  std::string text;
  if (max_size) {
    text += fmt::format("?max-size={}", *max_size);
  }
  if (max_file) {
    text += fmt::format("{}max-file={}", text.empty() ? "?" : "&", *max_file);
  }
  return text;
}

LogRotation log_rotation(const std::map<std::string, std::string>& options) {
  LogRotation rotation;
  if (auto size = options.find("max-size"); size != options.end()) {
    rotation.max_size = parse_size(size->second);
  }
  if (auto files = options.find("max-file"); files != options.end()) {
    rotation.max_file = parse_count(files->second);
  }
  return rotation;
}

}  // namespace bulkhead::engine
