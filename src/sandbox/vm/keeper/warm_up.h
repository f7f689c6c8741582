// Lets a guest do once all that the start of a container takes, on throw-away disks: what its kernel and its agent allocate and
// compute once is then done, and an emulated processor has translated the code.
#pragma once

#include <chrono>

#include "sandbox/vm/agent_session.h"

namespace bulkhead::sandbox::vm {

/// The guest is as before afterwards: no container, no mounted disk. It isn't configured, and reads nothing that makes its
/// identity. Throws where the guest can't do it: then it could run no container either.
void warm_up(AgentSession& session, std::chrono::milliseconds timeout);

}  // namespace bulkhead::sandbox::vm
