// The option words of an OCI mount (mount(8)'s words, and the "r" forms for whole trees) sorted into what the kernel calls
// want. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bulkhead::runner {

struct MountOptions {
  bool bind = false, recursive_bind = false;
  uint64_t set = 0, clear = 0;                      // MOUNT_ATTR_*
  uint64_t recursive_set = 0, recursive_clear = 0;  // MOUNT_ATTR_*, whole tree
  // MS_PRIVATE ..., 0: not said. "shared" is taken as "rshared" and so on: a mount below the source with a bond to the host
  // that nobody asked for would be a hole.
  uint64_t propagation = 0;
  std::vector<std::pair<std::string, std::optional<std::string>>> data;  // for the file system itself
};

/// Later words win over earlier ones. kNotSupported for words that can't be honoured ("remount", "idmap").
MountOptions parse_mount_options(const std::vector<std::string>& options);

/// As mount(2) wants them: MS_* flags and the comma-joined rest. kInvalidArgument where the rest is longer than a page.
std::pair<unsigned long, std::string> classic_mount_options(const std::vector<std::string>& options);

}  // namespace bulkhead::runner
