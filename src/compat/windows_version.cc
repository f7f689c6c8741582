#include "compat/windows_version.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

namespace bulkhead::compat {
namespace {

std::optional<std::vector<uint32_t>> parse_numbers(std::string_view text) {
  std::vector<uint32_t> numbers;
  const char* next = text.data();
  const char* end = text.data() + text.size();
  while (numbers.size() < 4) {
    uint32_t number = 0;
    auto [stop, error] = std::from_chars(next, end, number);
    if (error != std::errc()) {
      return std::nullopt;
    }
    numbers.push_back(number);
    if (stop == end) {
      return numbers;
    }
    if (*stop != '.') {
      return std::nullopt;
    }
    next = stop + 1;
  }
  return std::nullopt;  // a fifth number
}

}  // namespace

std::optional<WindowsVersion> parse_windows_version(std::string_view text) {
  auto numbers = parse_numbers(text);
  if (!numbers) {
    return std::nullopt;
  }
  WindowsVersion version;
  // One or two numbers: build and revision alone, as winver and update articles write them.
  size_t build = numbers->size() <= 2 ? 0 : 2;
  if (build == 2) {
    version.major = (*numbers)[0];
    version.minor = (*numbers)[1];
  }
  version.build = (*numbers)[build];
  if (numbers->size() > build + 1) {
    version.revision = (*numbers)[build + 1];
  }
  return version;
}

std::string to_string(const WindowsVersion& version) {
  std::string text = fmt::format("{}.{}.{}", version.major, version.minor, version.build);
  return version.revision ? fmt::format("{}.{}", text, *version.revision) : text;
}

}  // namespace bulkhead::compat
