// What a path is on this host: where links lead, and which devices are there. Looked up when it is asked for, and kept for the
// time of one decision. For one thread. Blocks for a readlink(2) for each folder of a path that it doesn't know yet.
#pragma once

#include <map>
#include <set>
#include <string>

#include "policy/request.h"

namespace bulkhead::policy {

class HostPaths {
 public:
  /// The same place without a link; for an absolute path, also one that leads to nothing (yet). "/" where it lies in a
  /// process's folder of /proc.
  std::string real(const std::string& path);
  /// The device at a path, or those in the folder of /dev there, as a Request has them: "node c 10:232".
  const std::set<std::string>& nodes(const std::string& path);

 private:
  struct Entry {
    bool is_there = false;
    std::string link;  // where it leads; "": it is none
  };
  const Entry& look(const std::string& path);

  std::map<std::string, Entry> entries_;
  std::map<std::string, std::set<std::string>> nodes_;
};

/// Adds what the paths that are asked for are on this host.
void look_at_paths(Request& request, HostPaths& host);

}  // namespace bulkhead::policy
