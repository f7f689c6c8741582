// The modules of a kernel that guests may need, as a part of their first file system (initramfs). The agent loads what is in
// `boot` as it starts, and the rest when the kernel asks for it (agent/guest/modules.h):
//
//     modules/boot        names of modules, one a line, in the order in which they are loaded
//     modules/index       a line a module: its name, then what has to be loaded before, in order
//     modules/aliases     a line an alias: what the kernel asks for, and the module's name
//     modules/nodes       a line a device file that is there before its module: path below /dev, major, minor
//     modules/NAME.ko     uncompressed
#pragma once

#include <string>
#include <vector>

#include "kernels/module_tree.h"

namespace bulkhead::kernels {

/// `boot`: names; `on_demand`: patterns of ModuleTree::matching. What is built in or not there is left out: whether it may be
/// missing was asked before (needs.h). Throws kInvalidArgument naming a module that is for another kernel than `release`, or
/// one whose dependency is not there.
std::string make_module_archive(const ModuleTree& tree, const std::string& release, const std::vector<std::string>& boot,
                                const std::vector<std::string>& on_demand);

}  // namespace bulkhead::kernels
