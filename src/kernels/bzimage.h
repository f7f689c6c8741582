// The kernel inside a bzImage ("vmlinuz"), as the x86 boot protocol says where it lies (Documentation/arch/x86/boot.rst). Pure.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::kernels {

bool is_bzimage(std::string_view image);

/// The uncompressed vmlinux, an ELF file. A guest that is emulated would spend a second on decompressing it, in each boot.
/// Throws kInvalidArgument saying what is wrong with the image.
std::string vmlinux_of_bzimage(std::string_view image);

}  // namespace bulkhead::kernels
