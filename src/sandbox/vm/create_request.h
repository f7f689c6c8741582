// What the agent is told to make of a container: the guest's spec as a message.
#pragma once

#include <filesystem>
#include <string>

#include "agent/protocol/agent.pb.h"
#include "sandbox/vm/guest_process.h"
#include "sandbox/vm/guest_spec.h"

namespace bulkhead::sandbox::vm {

/// Reads the files that the guest gets copies of, and compiles the seccomp filter through the cache in `cache_folder`: an
/// emulated processor takes a hundred times as long for it. Throws naming the file.
agent::wire::CreateRequest make_create_request(const std::string& id, const GuestSpec& guest,
                                               const std::filesystem::path& cache_folder);

/// For a container that the guest creates before it is known whose it will be: without id, hostname, args (but the first), env,
/// annotations and the files' contents of the one at hand. Containers for which this is equal can be made of one another's.
/// `io` says which streams there are.
agent::wire::CreateRequest make_prepared_request(const GuestSpec& guest, const ProcessIo& io,
                                                 const std::filesystem::path& cache_folder);
/// And what was left out, for the container that it became.
agent::wire::Owner make_owner(const GuestSpec& guest);

template <typename Request>
void set_streams(Request& request, const GuestProcess& process) {
  request.mutable_streams()->set_in(process.has_input());
  request.mutable_streams()->set_out(process.has_output());
  request.mutable_streams()->set_err(process.has_error());
}

}  // namespace bulkhead::sandbox::vm
