// The options of the json-file log: when it begins a new file, and how many are kept. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace bulkhead::engine {

struct LogRotation {
  std::optional<int64_t> max_size;  // bytes
  std::optional<int> max_file;

  /// As the shim's stream URI has it: "?max-size=1024&max-file=3", or "".
  std::string query() const;
};

/// Of `--log-opt max-size` and `max-file`. Throws kInvalidArgument for a value that can't be.
LogRotation log_rotation(const std::map<std::string, std::string>& options);

}  // namespace bulkhead::engine
