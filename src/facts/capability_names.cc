#include "facts/capability_names.h"

#include <sys/capability.h>

#include <algorithm>
#include <cctype>
#include <memory>

namespace bulkhead::facts {

std::vector<std::string> capability_names(uint64_t bits) {
  std::vector<std::string> names;
  for (cap_value_t number = 0; number < 64; ++number) {
    if ((bits >> number & 1) != 0) {
      std::unique_ptr<char, int (*)(void*)> known(::cap_to_name(number), &::cap_free);
      std::string name = known && std::isalpha(static_cast<unsigned char>(known.get()[0])) != 0
                             ? known.get()
                             : "cap_" + std::to_string(number);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
      names.push_back(std::move(name));
    }
  }
  return names;
}

uint64_t capability_bits(const std::vector<std::string>& names) {
  uint64_t bits = 0;
  for (std::string name : names) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    cap_value_t number = 0;
    if (::cap_from_name(name.c_str(), &number) == 0 && number >= 0 && number < 64) {
      bits |= 1ULL << static_cast<unsigned>(number);
    }
  }
  return bits;
}

}  // namespace bulkhead::facts
