// One thing that an isolation mode needs of this host, and whether it is there. Pure data.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::doctor {

/// The mode that it is needed for. hyperv isolation needs what process isolation needs, and more.
enum class Need { kProcess, kHyperv };

enum class Health {
  kOk,
  kWeak,     // it works without, but slower, or without some option
  kMissing,  // the mode does not work
};

struct Check {
  Need need = Need::kProcess;
  Health health = Health::kOk;
  std::string subject;  // "overlayfs"
  std::string found;    // what is there, or what went wrong
  std::string remedy;   // the command that mends it, or what to do; empty where all is well
};

using Checks = std::vector<Check>;

}  // namespace bulkhead::doctor
