// What a seccomp filter answers to a system call whose arguments are not known: classic BPF (seccomp(2), the kernel's
// Documentation/networking/filter.rst), evaluated over all arguments at once. Pure.
//
// SECURITY: a program may come from a guest. It is checked before it is run, it has no loops, and the time it takes is bounded
// by its length, whatever its branches are.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace bulkhead::facts {

using FilterProgram = std::vector<sock_filter>;

/// Throws kDataLoss where the bytes are no program that the kernel would take.
FilterProgram parse_filter(std::string_view bytes);

struct Verdict {
  bool may_pass = false;  // with some arguments
  bool may_fail = false;
};

/// `architecture` is an AUDIT_ARCH_*. More may be said to be possible than is, never less. Calls that only a tracer or a
/// listener can let through may do both.
Verdict judge(const FilterProgram& program, uint32_t architecture, uint32_t call);

}  // namespace bulkhead::facts
