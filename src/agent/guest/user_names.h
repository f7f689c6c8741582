// Who a process is where the host could not look it up: names of users and groups, found in the container's own files.
#pragma once

#include <filesystem>

#include "oci/runtime_spec.h"

namespace bulkhead::agent {

/// Turns `user.username` and `user.additional_groups` into ids, gives the environment a HOME where it has none, and leaves the
/// capabilities that a process starts with to root alone. Nothing happens where no name is given. kInvalidArgument in Docker's
/// words where a name isn't there.
void resolve_user(oci::Process& process, const std::filesystem::path& root);

}  // namespace bulkhead::agent
