// `bulkhead doctor`: every check, in the order in which they are worth reading. Blocks for as long as the trials take (about a
// second); makes nothing that outlives it. For a process of one thread.
#pragma once

#include <filesystem>

#include "doctor/check.h"

namespace bulkhead::doctor {

/// Where the guest's parts are, as the engine would look for them.
struct Places {
  std::filesystem::path qemu, guest_kernel, emulated_guest_kernel, guest_initramfs;
};

Checks examine(const Places& places);

// The parts, each in a file of its own.
Checks kernel_checks();              // kernel_checks.cc
Checks cgroup_checks();              // cgroup_checks.cc
Checks network_checks();             // network_checks.cc
Checks guest_checks(const Places&);  // guest_checks.cc
Checks kvm_checks();                 // kvm_checks.cc

}  // namespace bulkhead::doctor
