// seccomp(2) filters: an OCI seccomp section compiled to BPF by libseccomp, and a cache of compiled filters on disk, since
// compiling the default profile takes milliseconds.
#pragma once

#include <linux/filter.h>

#include <filesystem>
#include <string>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::linux {

struct SeccompFilter {
  std::vector<sock_filter> program;
  unsigned flags = 0;  // SECCOMP_FILTER_FLAG_*
};

/// Names of system calls that this libseccomp doesn't know are skipped, as runc does: the default action applies to them.
/// kInvalidArgument for unknown actions, operators, architectures and flags.
SeccompFilter compile_seccomp(const oci::Seccomp& seccomp);

/// As `compile_seccomp`, through the cache in `cache_folder` (made if missing; mode 0700). A damaged entry is made anew.
SeccompFilter load_seccomp(const oci::Seccomp& seccomp, const std::filesystem::path& cache_folder);

}  // namespace bulkhead::linux
