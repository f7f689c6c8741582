// One process as /proc shows it (proc(5)): what it may do, in which namespaces it is, what it costs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace bulkhead::facts {

class Process;

/// Throws where it has ended.
void describe_process(pid_t pid, Process& process);

/// The inode of a namespace of a process (`file`: "mnt", "pid" ...), 0 where it has ended or has none.
uint64_t namespace_inode(pid_t pid, std::string_view file);

/// Of one of `process`'s namespaces by the kind's name in an OCI spec; 0 where it wasn't read.
uint64_t namespace_of(const Process& process, std::string_view kind);

}  // namespace bulkhead::facts
