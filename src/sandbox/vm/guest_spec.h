// A container's spec as the guest gets it: what means something on the host only is taken out, turned into what the guest has,
// or refused.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kernels/boot.h"
#include "oci/runtime_spec.h"
#include "sandbox/sandbox.h"
#include "sandbox/vm/shares.h"

namespace bulkhead::sandbox::vm {

/// A file of the host of which the guest gets a copy (resolv.conf, hosts, hostname).
struct CopiedFile {
  std::string name;  // in the guest's folder of files
  std::filesystem::path source;
  Links links = Links::kFollowed;
};

struct GuestSpec {
  oci::Spec spec;
  std::optional<oci::Seccomp> seccomp;  // taken out of the spec: it goes to the guest compiled
  std::vector<CopiedFile> files;
  std::vector<ShareSpec> shares;            // number n is the guest's <kSharesFolder>/<n>
  std::filesystem::path network_namespace;  // of the host, empty: the container has no network but a loopback
};

/// Throws kNotSupported naming what a VM can't have.
GuestSpec make_guest_spec(const oci::Spec& spec);

/// What a guest says about a mount, with the host's name of its source. Each is named once at most.
std::string name_sources(std::string message, const GuestSpec& guest);

struct RootDiskPaths {
  std::filesystem::path image, scratch;
};

/// The image's disk (type "erofs") and the container's (type "ext4") among a sandbox's root mounts; kInvalidArgument where
/// they are not exactly those.
RootDiskPaths root_disks_of(const std::vector<Mount>& rootfs);

/// Bytes of memory for a VM whose container may use `limit` (absent or not positive: `otherwise`): that and what the guest's
/// kernel needs, in steps, so that VMs of few sizes are made.
uint64_t machine_memory(std::optional<int64_t> limit, uint64_t otherwise, uint64_t kernel = kernels::kSmallKernel);

}  // namespace bulkhead::sandbox::vm
