// Lets a guest do once all that the start of a container takes, on throw-away disks: what its kernel and its agent allocate and
// compute once is then done, and an emulated processor has translated the code.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "sandbox/vm/agent_session.h"

namespace bulkhead::sandbox::vm {

/// The guest is as before afterwards: no container, no mounted disk. What it was configured with is an example's, and it reads
/// nothing that makes its identity. `cache_folder` is the instance's, of compiled seccomp filters. Throws where the guest can't
/// do it: then it could run no container either.
void warm_up(AgentSession& session, const std::filesystem::path& cache_folder, std::chrono::milliseconds timeout);

/// For a guest that was warmed up and has the disk of an image: begins `program` of the image twice as a container would, and
/// lets it come as far as its first system call that does more than load code. The image stays mounted. A program that isn't
/// there or fails is no error.
void rehearse(AgentSession& session, const std::string& program, const std::filesystem::path& cache_folder,
              std::chrono::milliseconds timeout);

/// Creates a container that nobody has asked for yet, of a KeeperRequest::container, on the disks that the guest has. It waits
/// for its owner and for Start.
void create_container(AgentSession& session, const std::string& container, std::chrono::milliseconds timeout);

}  // namespace bulkhead::sandbox::vm
