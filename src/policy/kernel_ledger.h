// Which containers run on which kernel, by tenant: the place where it is decided that two tenants never share one. Owned by the
// engine; any thread may call it, each call is one step that no other can come between.
//
// A place is taken when a container is made and given back when it is removed: a container that exists may be started.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "policy/identity.h"
#include "policy/walls.h"

namespace bulkhead::policy {

struct Resident {
  Identity identity;
  Separation separation = Separation::kTenants;
};

/// Whether the two may run on one kernel. Those that name no tenant are tenants of one another, and of nobody else.
bool may_share_kernel(const Resident& one, const Resident& other);

/// Who is in the way.
struct Neighbour {
  std::string container;
  Resident resident;
};

class KernelLedger {
 public:
  /// The host's own.
  static constexpr const char* kHostKernel = "host";

  /// Takes a place on `kernel` for a container, unless somebody is there that it may not share it with: who that is.
  /// A container that has its place already keeps it.
  [[nodiscard]] std::optional<Neighbour> claim(const std::string& kernel, const std::string& container,
                                               const Resident& resident);
  /// A container that is there anyway (found again after a restart): whoever it should not be beside is returned all the same.
  std::optional<Neighbour> adopt(const std::string& kernel, const std::string& container, const Resident& resident);
  /// Whom a container shares its kernel with against the rule: asked again before each start.
  std::optional<Neighbour> intruder(const std::string& container) const;
  /// No place is fine.
  void release(const std::string& container);

  /// Everybody on the kernel that `container` is on, itself included.
  std::vector<Neighbour> residents_beside(const std::string& container) const;
  std::vector<Neighbour> residents(const std::string& kernel) const;

 private:
  using Residents = std::map<std::string, Resident>;  // by container
  std::optional<Neighbour> find_intruder(const Residents& residents, const std::string& container,
                                         const Resident& resident) const;

  mutable std::mutex mutex_;
  std::map<std::string, Residents> kernels_;
  std::map<std::string, std::string> kernel_of_;  // by container
};

}  // namespace bulkhead::policy
