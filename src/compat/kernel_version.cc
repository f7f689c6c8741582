#include "compat/kernel_version.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "support/error.h"

namespace bulkhead::compat {
namespace {

constexpr uint32_t kMost = std::numeric_limits<uint32_t>::max();
constexpr KernelVersion kNoEnd{.major = kMost, .minor = kMost, .patch = kMost};
// SECURITY: labels are an image's: bounds on what is looked at, and on what an error repeats.
constexpr size_t kMaxText = 256;

struct Numbers {
  std::array<uint32_t, 3> values{};
  size_t count = 0;
  std::string_view rest;
};

/// As many numbers as there are, at most three.
Numbers take_numbers(std::string_view text) {
  Numbers numbers{.values = {}, .count = 0, .rest = text};
  while (numbers.count < 3) {
    std::string_view next = numbers.rest;
    if (numbers.count > 0) {
      if (!next.starts_with('.')) {
        break;
      }
      next.remove_prefix(1);
    }
    uint32_t value = 0;
    auto [end, error] = std::from_chars(next.data(), next.data() + next.size(), value);
    if (error != std::errc() || value == kMost) {
      break;
    }
    numbers.values.at(numbers.count++) = value;
    numbers.rest = next.substr(static_cast<size_t>(end - next.data()));
  }
  return numbers;
}

KernelVersion version_of(const Numbers& numbers) {
  return {.major = numbers.values[0], .minor = numbers.values[1], .patch = numbers.values[2]};
}

/// The first version after the series that the numbers name: 6.1 ends where 6.2 begins.
KernelVersion end_of_series(const Numbers& numbers) {
  KernelVersion end = version_of(numbers);
  ++(numbers.count == 1 ? end.major : numbers.count == 2 ? end.minor : end.patch);
  return end;
}

Error no_range(std::string_view text) {
  return {ErrorCode::kInvalidArgument,
          fmt::format("'{}' is no range of kernel versions: write '>=5.15 <7' or '6.1'", text.substr(0, 64))};
}

}  // namespace

std::optional<KernelVersion> parse_kernel_version(std::string_view release) {
  Numbers numbers = take_numbers(release);
  return numbers.count == 0 ? std::nullopt : std::optional(version_of(numbers));
}

std::string version_of_build(std::string_view release, std::string_view build) {
  constexpr std::string_view kMark = "Debian ";
  size_t mark = build.rfind(kMark);  // the compiler's may stand before it
  std::optional<KernelVersion> named = parse_kernel_version(release);
  if (mark == std::string_view::npos || !named || named->patch != 0) {
    return "";
  }
  Numbers numbers = take_numbers(build.substr(mark + kMark.size()));
  KernelVersion version = version_of(numbers);
  bool is_patched = numbers.count == 3 && version.major == named->major && version.minor == named->minor;
  return is_patched ? to_string(version) : "";
}

std::string to_string(const KernelVersion& version) {
  return version.patch == 0 ? fmt::format("{}.{}", version.major, version.minor)
                            : fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

KernelRange::Bounds KernelRange::parse_condition(std::string_view condition) {
  size_t operator_size = std::min(condition.find_first_not_of("<>="), condition.size());
  std::string_view comparison = condition.substr(0, operator_size);
  Numbers numbers = take_numbers(condition.substr(operator_size));
  if (numbers.count == 0 || !numbers.rest.empty()) {
    throw no_range(condition);
  }
  if (comparison.empty() || comparison == "=") {
    return {.from = version_of(numbers), .below = end_of_series(numbers)};
  }
  if (comparison == ">=") {
    return {.from = version_of(numbers), .below = kNoEnd};
  }
  if (comparison == ">") {
    return {.from = end_of_series(numbers), .below = kNoEnd};
  }
  if (comparison == "<") {
    return {.from = {}, .below = version_of(numbers)};
  }
  if (comparison == "<=") {
    return {.from = {}, .below = end_of_series(numbers)};
  }
  throw no_range(condition);
}

KernelRange KernelRange::parse(std::string_view text) {
  constexpr std::string_view kSeparators = " ,\t";
  KernelRange range;
  range.text_ = text.substr(0, kMaxText);
  if (text.size() > kMaxText) {
    throw no_range(text);
  }
  std::string_view rest = text;
  bool any = false;
  while (true) {
    size_t start = rest.find_first_not_of(kSeparators);
    if (start == std::string_view::npos) {
      break;
    }
    size_t end = std::min(rest.find_first_of(kSeparators, start), rest.size());
    std::string_view condition = rest.substr(start, end - start);
    rest.remove_prefix(end);
    if (condition == "any") {
      any = true;
    } else {
      range.bounds_.push_back(parse_condition(condition));
    }
  }
  if (range.bounds_.empty() != any) {  // nothing at all, or "any" beside something
    throw no_range(text);
  }
  return range;
}

KernelRange KernelRange::at_least(const KernelVersion& version) {
  KernelRange range;
  range.text_ = ">=" + to_string(version);
  range.bounds_.push_back({.from = version, .below = kNoEnd});
  return range;
}

bool KernelRange::holds(const KernelVersion& version) const {
  return std::all_of(bounds_.begin(), bounds_.end(),
                     [&](const Bounds& bounds) { return !(version < bounds.from) && version < bounds.below; });
}

bool is_kernel_range(std::string_view text) {
  try {
    KernelRange::parse(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace bulkhead::compat
