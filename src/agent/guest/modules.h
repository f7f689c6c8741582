// Modules of the guest's kernel, where it has any: loaded by the agent as the guest starts, and later when the kernel asks for
// one by name, by running this program as "modprobe" (kernel.modprobe in proc_sys_kernel(5)). They lie in the first file system
// (kernels/module_archive.h); a file goes as its module is loaded, so that it takes no memory twice.
//
// SECURITY: which modules there are was chosen on the host: containers can make the kernel load these, and no others.
#pragma once

#include <string>

namespace bulkhead::agent {

/// The name under which the kernel calls this program.
inline constexpr const char* kModprobe = "modprobe";

/// Before the guest's root is made. Nothing where the kernel has no modules. Throws naming the module.
void load_boot_modules();
/// Takes the folder of modules along into `root`, the guest's root to be.
void keep_modules(const std::string& root);
/// Once /dev and /proc are there: device files of modules that aren't loaded yet, and who loads them.
void offer_modules();

/// Loads one that is there, with what it needs; nothing where it isn't there, which then may be built in.
void load_module(const std::string& name);
/// The kernel's call: `request` is a module's name or an alias. The process's exit code.
int run_modprobe(const std::string& request);

}  // namespace bulkhead::agent
