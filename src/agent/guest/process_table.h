// A process of the guest as /proc shows it (proc(5)), for `docker top`.
#pragma once

#include <sys/types.h>

namespace bulkhead::agent {

namespace wire {
class ProcessesResponse;
}

/// Adds it; nothing where it has ended meanwhile.
void describe_process(pid_t pid, wire::ProcessesResponse& response);

}  // namespace bulkhead::agent
