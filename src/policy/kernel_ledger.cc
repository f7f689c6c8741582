#include "policy/kernel_ledger.h"

namespace bulkhead::policy {

bool may_share_kernel(const Resident& one, const Resident& other) {
  bool by_environment = one.separation == Separation::kEnvironments || other.separation == Separation::kEnvironments;
  return one.identity.tenant == other.identity.tenant &&
         (!by_environment || one.identity.environment == other.identity.environment);
}

std::optional<Neighbour> KernelLedger::find_intruder(const Residents& residents, const std::string& container,
                                                     const Resident& resident) const {
  for (const auto& [other, there] : residents) {
    if (other != container && !may_share_kernel(resident, there)) {
      return Neighbour{.container = other, .resident = there};
    }
  }
  return std::nullopt;
}

std::optional<Neighbour> KernelLedger::claim(const std::string& kernel, const std::string& container,
                                             const Resident& resident) {
  std::lock_guard lock(mutex_);
  if (kernel_of_.contains(container)) {
    return std::nullopt;
  }
  // SECURITY: looking and taking are one step: of two that come at once, the second sees the first.
  if (auto intruder = find_intruder(kernels_[kernel], container, resident)) {
    return intruder;
  }
  kernels_[kernel].emplace(container, resident);
  kernel_of_.emplace(container, kernel);
  return std::nullopt;
}

std::optional<Neighbour> KernelLedger::adopt(const std::string& kernel, const std::string& container,
                                             const Resident& resident) {
  std::lock_guard lock(mutex_);
  auto intruder = find_intruder(kernels_[kernel], container, resident);
  kernels_[kernel].insert_or_assign(container, resident);
  kernel_of_.insert_or_assign(container, kernel);
  return intruder;
}

std::optional<Neighbour> KernelLedger::intruder(const std::string& container) const {
  std::lock_guard lock(mutex_);
  auto kernel = kernel_of_.find(container);
  if (kernel == kernel_of_.end()) {
    return std::nullopt;
  }
  const Residents& residents = kernels_.at(kernel->second);
  return find_intruder(residents, container, residents.at(container));
}

void KernelLedger::release(const std::string& container) {
  std::lock_guard lock(mutex_);
  auto kernel = kernel_of_.find(container);
  if (kernel == kernel_of_.end()) {
    return;
  }
  auto residents = kernels_.find(kernel->second);
  residents->second.erase(container);
  if (residents->second.empty()) {
    kernels_.erase(residents);
  }
  kernel_of_.erase(kernel);
}

std::vector<Neighbour> KernelLedger::residents_beside(const std::string& container) const {
  std::string kernel;
  {
    std::lock_guard lock(mutex_);
    auto found = kernel_of_.find(container);
    if (found == kernel_of_.end()) {
      return {};
    }
    kernel = found->second;
  }
  return residents(kernel);
}

std::vector<Neighbour> KernelLedger::residents(const std::string& kernel) const {
  std::lock_guard lock(mutex_);
  std::vector<Neighbour> list;
  auto found = kernels_.find(kernel);
  if (found != kernels_.end()) {
    for (const auto& [container, resident] : found->second) {
      list.push_back({.container = container, .resident = resident});
    }
  }
  return list;
}

}  // namespace bulkhead::policy
