// The child between clone3 and execve. Everything in child_*.cc runs there.
//
// SECURITY and sanity: raw system calls only: no allocation, no locks, no exceptions, no stdio, nothing of glibc that keeps
// state about threads (setuid(2) of glibc would signal threads that don't exist here). The memory is a copy of the parent's.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>

#include "runner/plan.h"
#include "runner/report.h"

namespace bulkhead::runner {

struct Child {
  Plan& plan;
  int channel;        // to the parent
  int root = -1;      // the container's root
  int proc = -1;      // its procfs, made by ourselves
  int devpts = -1;    // its devpts, made by ourselves
  int terminal = -1;  // slave
};

/// Reports and ends.
[[noreturn]] void fail(const Child& child, Step step, uint32_t index = 0, int error = errno);
inline void check(const Child& child, long result, Step step, uint32_t index = 0) {
  if (result < 0) {
    fail(child, step, index);
  }
}
void send_report(const Child& child, const Report& report, int fd_to_pass = -1);
/// Blocks; ends the child where the parent is gone.
void await(const Child& child, Command command);

// child_path.cc: paths inside the container's root, whatever the image put there.
/// openat2(2) with RESOLVE_IN_ROOT and no magic links, plus `resolve`.
int open_in_root(int root, const char* path, uint64_t flags, uint64_t resolve = 0);
/// An O_PATH descriptor of `path`; what is missing is made, `mode` says what (S_IFDIR or S_IFREG) and how.
int make_in_root(int root, const char* path, mode_t mode, uint64_t resolve = 0);
/// An O_PATH descriptor of the folder of `path`, made if missing; `name` is set to the last part.
int make_parent_in_root(int root, const char* path, const char** name);

// child_mounts.cc, child_root.cc, child_devices.cc, child_terminal.cc
void open_mount_sources(Child& child);
void attach_mounts(Child& child);
void mask_paths(Child& child);
void make_devices(Child& child);
void build_root(Child& child);
void open_terminal(Child& child);

// child_process.cc, child_command.cc: what init and exec have in common, up to execve.
void become_process(Child& child);
[[noreturn]] void execute(Child& child);

[[noreturn]] void run_init(Child& child);
[[noreturn]] void run_exec(Child& child);

}  // namespace bulkhead::runner
