// The kinds of isolation that this host's shim has, as data: what each can do, whether it can be made here, and what an option
// that a kind can't give is answered with. Thread-safe; the shim is asked at the first need, which may take a second.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "engine/container.h"
#include "task/client.h"

namespace bulkhead::engine {

class IsolationModes {
 public:
  IsolationModes(std::filesystem::path shim, std::filesystem::path cache_folder)
      : shim_(std::move(shim)), cache_folder_(std::move(cache_folder)) {}

  /// Every mode by its name. What was not available is asked for again each time: it may have been mended.
  std::map<std::string, task::IsolationDescription> all();
  /// Throws kNotSupported where this mode can't be made here, saying why and what would mend it.
  task::IsolationDescription need(const std::string& mode);

 private:
  std::filesystem::path shim_, cache_folder_;
  std::mutex mutex_;
  std::map<std::string, task::IsolationDescription> known_;
};

/// Throws kNotSupported naming the option of a create request that this mode can't give, the reason and the way out.
void check_mode(const std::string& mode, const task::IsolationDescription& description, const HostConfig& host_config);
/// The same of the sources of its bind mounts, which must be there. A start tries it again: what is there may change.
void check_sources(const std::string& mode, const task::IsolationDescription& description, const HostConfig& host_config);

}  // namespace bulkhead::engine
