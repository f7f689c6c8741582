// This process's own program, out of reach of the containers that it makes (CVE-2019-5736): a process that is about to become a
// container's, or that a container tricks into executing /proc/self/exe, still refers to the program it came from. With its
// mount read-only nobody can open that for writing, whatever capabilities they have.
#pragma once

#include <filesystem>

#include "support/unique_fd.h"

namespace bulkhead::linux {

/// A program on a read-only clone of its mount, attached nowhere: executed as /proc/self/fd/<n> it is sealed from the start.
UniqueFd open_sealed(const std::filesystem::path& program);

/// Whether the mount that this process was executed from is read-only.
bool executable_is_sealed();

/// Executes this program again from a read-only clone of its mount, attached nowhere, unless that is where it came from. Call
/// it first in main() of every program that runs containers. Returns only where it is sealed; throws where it can't be.
/// /proc/self/exe stays usable to execute oneself, but its text is then not a path of the host.
void seal_executable(char* const argv[]);

}  // namespace bulkhead::linux
