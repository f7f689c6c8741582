// What a kernel's file says of itself. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bulkhead::compat {

inline constexpr size_t kMaxKernelImage = 256UL << 20;

/// What an uncompressed kernel says of itself ("Linux version 6.12.57 (...) #1 SMP", linux_banner in init/version.c), one line
/// of at most 512 bytes; "" where the bytes are none.
std::string kernel_banner(std::string_view image);

/// The release ("6.12.57") of an uncompressed kernel, or of a
/// bzImage (the boot protocol's kernel_version: Documentation/arch/x86/boot.rst). "" where the bytes are neither.
std::string kernel_release(std::string_view image);

}  // namespace bulkhead::compat
