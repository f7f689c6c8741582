// namespaces(7): kinds by OCI name, joining, and a join that ends with its scope.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "support/unique_fd.h"

namespace bulkhead::linux {

/// The CLONE_NEW* flag of an OCI namespace type ("network" ...); kInvalidArgument for another word.
uint64_t namespace_flag(std::string_view type);

/// Opens a namespace file. SECURITY: refuses what isn't a namespace of the wanted kind (ioctl_ns(2)), so that a path that was
/// swapped can't make the caller join something else.
UniqueFd open_namespace(const std::filesystem::path& path, uint64_t flag);

/// Runs `body` in a short-lived thread inside a network namespace, and throws what it throws.
void run_in_network(int network_namespace, const std::function<void()>& body);
/// Of the UTS namespace that the process of this pidfd (pidfd_open(2)) is in. SECURITY: only where that is another one than the
/// caller's own.
void set_hostname(int pidfd, const std::string& name);

/// This thread makes its children in another PID namespace while this lives. Owned by the stack of the thread that forks.
class ScopedPidNamespace {
 public:
  /// `fd` is a PID namespace, or a pidfd of a process in it.
  explicit ScopedPidNamespace(int fd);
  ~ScopedPidNamespace();
  ScopedPidNamespace(const ScopedPidNamespace&) = delete;
  ScopedPidNamespace& operator=(const ScopedPidNamespace&) = delete;

 private:
  UniqueFd own_;
};

}  // namespace bulkhead::linux
