// What a process holds open (proc(5), /proc/PID/fd): names of links alone, no file is touched.
#pragma once

#include <sys/types.h>

namespace bulkhead::facts {

class Wall;

/// Counted by kind: "file", "socket", "kvm" ... Where it can't be had, a gap says so.
void add_open_files(pid_t pid, Wall& wall);

}  // namespace bulkhead::facts
