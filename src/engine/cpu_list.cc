#include "engine/cpu_list.h"

#include <charconv>
#include <sstream>

namespace bulkhead::engine {

std::optional<std::set<int>> parse_cpu_list(const std::string& text) {
  constexpr int kMost = 1 << 16;
  std::set<int> found;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    int first = 0;
    const char* end = part.data() + part.size();
    auto [rest, error] = std::from_chars(part.data(), end, first);
    int last = first;
    if (error == std::errc() && rest != end && *rest == '-') {
      auto [behind, second_error] = std::from_chars(rest + 1, end, last);
      rest = behind;
      error = second_error;
    }
    if (error != std::errc() || rest != end || first < 0 || last < first || last >= kMost) {
      return std::nullopt;
    }
    for (int each = first; each <= last; ++each) {
      found.insert(each);
    }
  }
  return found;
}

}  // namespace bulkhead::engine
