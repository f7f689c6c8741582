#include "policy/walls.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/request.h"

namespace bulkhead::policy {
namespace {

/// The first added capability that is dropped.
std::string dropped_and_added(const Walls& walls, const Request& request) {
  for (const std::string& added : request.added_capabilities) {
    // SECURITY: what is added wins over what is dropped (Docker's rule), so it may not be asked for. ALL without what is
    // dropped is computed right, but for "drop ALL".
    if (walls.drop_capabilities.contains(added) || (walls.drop_capabilities.contains("ALL") && added != "ALL")) {
      return added;
    }
    if (added == "ALL" && walls.drop_capabilities.contains("ALL")) {
      return added;
    }
  }
  return "";
}

/// Who may mount can make the root writable again.
bool may_remount(const Request& request) {
  return request.added_capabilities.contains("SYS_ADMIN") || request.added_capabilities.contains("ALL");
}

bool has_wall_in_the_process(const Walls& walls) {
  return walls.read_only_root || walls.no_new_privileges || !walls.drop_capabilities.empty() || !walls.seccomp.empty();
}

std::string seccomp_conflict(const Walls& walls, const Request& request) {
  if (walls.seccomp.empty() || request.seccomp == SeccompAsked::kDefault) {
    return "";
  }
  return request.seccomp == SeccompAsked::kUnconfined ? "--security-opt seccomp=unconfined"
                                                      : "a seccomp profile of its own (--security-opt seccomp=...)";
}

}  // namespace

void Walls::join(const Walls& other) {
  read_only_root = read_only_root || other.read_only_root;
  no_new_privileges = no_new_privileges || other.no_new_privileges;
  drop_capabilities.insert(other.drop_capabilities.begin(), other.drop_capabilities.end());
  kernels.insert(other.kernels.begin(), other.kernels.end());
  seccomp.insert(other.seccomp.begin(), other.seccomp.end());
  separation = std::max(separation, other.separation);
}

bool Walls::cover(const Walls& other) const {
  auto holds = [](const std::set<std::string>& mine, const std::set<std::string>& theirs) {
    return std::includes(mine.begin(), mine.end(), theirs.begin(), theirs.end());
  };
  return (read_only_root || !other.read_only_root) && (no_new_privileges || !other.no_new_privileges) &&
         (drop_capabilities.contains("ALL") || holds(drop_capabilities, other.drop_capabilities)) &&
         holds(kernels, other.kernels) && holds(seccomp, other.seccomp) && separation >= other.separation;
}

bool Walls::empty() const { return *this == Walls{}; }

std::string conflict(const Walls& walls, const Request& request) {
  if (request.privileged && has_wall_in_the_process(walls)) {
    return "--privileged";
  }
  if (std::string added = dropped_and_added(walls, request); !added.empty()) {
    return "--cap-add " + added;
  }
  if (walls.read_only_root && may_remount(request)) {
    return fmt::format("--cap-add {}", request.added_capabilities.contains("SYS_ADMIN") ? "SYS_ADMIN" : "ALL");
  }
  if (walls.no_new_privileges && request.no_new_privileges == false) {
    return "--security-opt no-new-privileges=false";
  }
  return seccomp_conflict(walls, request);
}

}  // namespace bulkhead::policy
