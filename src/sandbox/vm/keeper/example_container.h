// The container that a guest is warmed up with, and what the guest is configured with for it. It has what ordinary containers
// have (oci/container_defaults.h): the more alike, the less is done for the first time when one comes. Pure but for the clock
// and the entropy of a configuration. Thread-safe.
#pragma once

#include <string>

#include "agent/protocol/agent.pb.h"
#include "oci/runtime_spec.h"

namespace bulkhead::sandbox::vm {

constexpr const char* kExampleProgram = "/warm-up";  // inside; the caller mounts the agent there

/// Its program is the agent's own, which ends with its input.
oci::Spec example_spec();
oci::Process example_process();
/// For `program` of an image, which may be loaded and no more.
oci::Spec loading_spec(const std::string& program);
/// The network of an example (RFC 5737): its packets go nowhere, as the tap of a VM that waits is down.
agent::wire::ConfigureRequest example_configuration();

}  // namespace bulkhead::sandbox::vm
