// What is seen at a path: of mounts that stand on each other, the one that the kernel's walk arrives at. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "facts/mounts.h"

namespace bulkhead::facts {

/// The entries must outlive it.
class MountTree {
 public:
  explicit MountTree(const std::vector<MountEntry>& entries);
  /// The mount in which the walk along `path` ends (links are not known here); null where there is no root.
  const MountEntry* at(const std::string& path) const;
  const MountEntry* root() const { return root_; }

 private:
  const MountEntry* climb(const MountEntry* mount, const std::string& point) const;

  std::map<std::pair<uint64_t, std::string>, const MountEntry*> children_;  // by parent and point
  const MountEntry* root_ = nullptr;
};

}  // namespace bulkhead::facts
