// The seccomp filters that a process really has: read out of the kernel by ptrace(2), PTRACE_SECCOMP_GET_FILTER.
//
// The kernel gives them of a stopped process only: the process stands still for some microseconds, and a blocking call of it
// may return EINTR where a stop does that (signal(7)). It is let go whatever happens here: the tracer is a thread that ends
// with the call, and a tracer that ends lets go.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <chrono>
#include <vector>

namespace bulkhead::linux {

using FilterChain = std::vector<std::vector<sock_filter>>;

/// The one installed last comes first. Throws saying why they can't be read: kPermissionDenied where another debugger has the
/// process, kDeadlineExceeded where it doesn't stop within `patience` (a frozen one doesn't), kNotFound where it has ended.
FilterChain read_installed_filters(pid_t pid, std::chrono::milliseconds patience);

}  // namespace bulkhead::linux
