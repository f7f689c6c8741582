// Everything about the processes behind one cgroup, as the kernel that they run on tells it now.
//
// Needs root on that kernel. Blocks for some milliseconds: every process is looked at, the first ones are stopped for a moment
// to read their seccomp filters. A fact that can't be had becomes a gap; nothing is thrown for it.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "facts/given_mounts.h"
#include "linux/cgroup.h"

namespace bulkhead::facts {

class Wall;

/// A machine is a process of the host that has nothing to do with files or devices of its own.
enum class Kind { kContainer, kMachine };

struct Subject {
  Kind kind = Kind::kContainer;
  pid_t init = 0;
  std::map<pid_t, std::string> execs;  // their ids
  const linux::Cgroup& cgroup;
  const GivenMounts& mounts;
};

/// Adds to `wall`, whose filters then hold programs (reach.h).
void measure(const Subject& subject, Wall& wall);

/// Adds a process that the wall itself runs: this one, for instance.
void add_system_process(pid_t pid, int role, Wall& wall);

}  // namespace bulkhead::facts
