#include "facts/mount_tree.h"

namespace bulkhead::facts {

MountTree::MountTree(const std::vector<MountEntry>& entries) {
  for (const MountEntry& each : entries) {
    if (each.id != each.parent) {  // the first of all mounts is its own parent
      children_.emplace(std::pair(each.parent, each.point), &each);
    }
    if (root_ == nullptr && each.point == "/") {
      root_ = &each;
    }
  }
}

/// Mounts on the same point hide each other; there are no circles, but this doesn't depend on it.
const MountEntry* MountTree::climb(const MountEntry* mount, const std::string& point) const {
  for (size_t steps = 0; steps < children_.size(); ++steps) {
    auto above = children_.find({mount->id, point});
    if (above == children_.end()) {
      break;
    }
    mount = above->second;
  }
  return mount;
}

const MountEntry* MountTree::at(const std::string& path) const {
  if (root_ == nullptr) {
    return nullptr;
  }
  const MountEntry* mount = climb(root_, "/");
  for (size_t end = path.find('/', 1); path.size() > 1; end = path.find('/', end + 1)) {
    mount = climb(mount, path.substr(0, end));
    if (end == std::string::npos) {
      break;
    }
  }
  return mount;
}

}  // namespace bulkhead::facts
