// Where on the host the things really are that a container was given: a bind mount's source as links lead, a device node by its
// number. A policy decided about these, so a start has to give the container the same ones, whatever was renamed meanwhile.
#pragma once

#include <map>
#include <string>

#include "oci/runtime_spec.h"

namespace bulkhead::engine {

struct Container;
struct HostConfig;

struct Origins {
  std::map<std::string, std::string> mounts;   // "/data" in the container -> "/srv/data" on the host
  std::map<std::string, std::string> devices;  // "/dev/kvm" in the container -> "c 10:232"
};

/// As they are now. A folder that isn't there yet is where it will be made; a device that isn't is left out.
Origins origins_of(const HostConfig& config);

/// SECURITY: every bind mount gets the source to which links lead now, and whoever mounts it follows none any more
/// (oci::kExactSources): what is checked is what is mounted.
void settle_sources(oci::Spec& spec);

/// SECURITY: whoever may write the folder that holds a bind mount's source could otherwise lead it to any other place between
/// create and start. Throws kPermissionDenied where a policy decided and `spec`, settled, would give the container something
/// else than it decided about. Without a policy a link may be led elsewhere, as Docker has it.
void require_decided_origins(const Container& container, const oci::Spec& spec);

}  // namespace bulkhead::engine
