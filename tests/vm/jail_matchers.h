// What whoever breaks out of a guest would find, seen from the host.
#pragma once

#include <sys/types.h>

#include <string>

namespace bulkhead::sandbox {

/// Fails the test for each wall that is missing around a QEMU process. `root` is what `ls` says of its root folder.
void expect_jailed(pid_t qemu, const std::string& root);

}  // namespace bulkhead::sandbox
