// What guests need of their kernel, and whether one has it: built in, or as a module that is at hand. Pure but for the tables.
#pragma once

#include <string>
#include <vector>

#include "kernels/boot.h"
#include "kernels/module_tree.h"

namespace bulkhead::kernels {

struct Findings {
  std::vector<std::string> missing;  // options without which no guest starts
  std::vector<std::string> lacking;  // options without which guests can do less: no folders of the host
  Boot boot;                         // `modules` is not set
};

/// `config`: the kernel's .config. A driver counts that is =y, or that is in `modules`.
Findings examine(const std::string& config, const ModuleTree& modules);

/// Modules that are loaded as a guest starts.
const std::vector<std::string>& boot_modules();
/// Modules that a guest can load: what the built-in kernel has built in and containers may use (needs.cc). Patterns.
const std::vector<std::string>& loadable_modules();

}  // namespace bulkhead::kernels
