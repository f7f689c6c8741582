// The oldest kernel that a program or library runs on, as its linker wrote it down: the ELF note NT_GNU_ABI_TAG (LSB, "Note
// Section"; glibc's own is in libc.so.6 and ld.so, and its loader refuses older kernels with "FATAL: kernel too old"). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "compat/kernel_version.h"

namespace bulkhead::compat {

/// How much of a file has to be read: headers and notes lie at its beginning.
inline constexpr size_t kAbiNoteHead = 64UL << 10;

/// From the first bytes of a file of either word size and byte order. nullopt where it is no ELF file, or names no Linux
/// kernel. SECURITY: the bytes are an image's: every offset in them is checked against their number. Fuzzed by
/// fuzz/abi_note_fuzz.cc.
std::optional<KernelVersion> minimum_kernel(std::string_view head);

}  // namespace bulkhead::compat
