// Programs of another architecture: the emulator that the host put into the guest's first file system is given to the kernel
// (binfmt_misc). From then on the guest runs that architecture's programs beside its own.
#pragma once

namespace bulkhead::agent {

/// Before the guest's root is made. Nothing where there is no emulator.
void register_emulator();

}  // namespace bulkhead::agent
