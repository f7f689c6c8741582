// The system calls that QEMU needs of the host: those of its event loop, its threads, its guest's memory and the descriptors
// that it is given. All others fail as if the kernel didn't have them, which libraries and QEMU are prepared for.
//
// SECURITY: what a guest that broke into QEMU can ask the host's kernel for. QEMU's own filter (-sandbox) is a list of what is
// forbidden, and leaves nine of ten.
#pragma once

#include "oci/runtime_spec.h"

namespace bulkhead::sandbox::vm {

enum class FileServer { kNone, kShares };  // 9p: it makes, renames and removes files for its guest

oci::Seccomp qemu_seccomp(FileServer server);

}  // namespace bulkhead::sandbox::vm
