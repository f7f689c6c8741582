#include "host/cpu_flags.h"

#include <string>

namespace bulkhead::host {

bool has_virtualization_flag(std::string_view cpuinfo) {
  size_t begin = cpuinfo.find("\nflags");
  if (begin == std::string_view::npos) {
    return false;
  }
  std::string flags(cpuinfo.substr(begin + 1, cpuinfo.find('\n', begin + 1) - begin - 1));
  flags += ' ';
  return flags.find(" vmx ") != std::string::npos || flags.find(" svm ") != std::string::npos;
}

}  // namespace bulkhead::host
