// What a kernel module's file says of itself (its .modinfo section). Pure: the bytes are a file's, and may be anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::kernels {

struct ModuleInfo {
  std::string version_magic;         // "6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions "
  std::vector<std::string> needs;    // modules that have to be there first
  std::vector<std::string> likes;    // modules that are better there first (softdep, pre)
  std::vector<std::string> aliases;  // other names that the kernel asks for it by
};

/// "nf-tables" and "nf_tables" are the same module.
std::string module_name(std::string_view text);

/// Of a 64-bit little-endian ELF file. Throws kInvalidArgument where it is none, or has no such section.
ModuleInfo module_info(std::string_view elf);

}  // namespace bulkhead::kernels
