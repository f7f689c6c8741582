// How many system calls a process can get through its seccomp filters to the kernel. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::facts {

class FilterChain;
class Wall;

/// Fills `reach` of every chain from its programs, and clears these. Chains that can't be evaluated get a gap.
/// SECURITY: the programs may be a guest's.
void evaluate_filters(Wall& wall);

/// What a process without any filter reaches on this kind of machine ("x86_64").
void fill_open_reach(std::string_view machine, FilterChain& chain);

/// What an OCI seccomp section would let through on this machine: for comparison with what is in force.
FilterChain reach_of(const oci::Seccomp& seccomp);

}  // namespace bulkhead::facts
