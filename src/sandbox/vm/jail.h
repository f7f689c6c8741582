// Starts QEMU in a jail: an unprivileged user without capabilities, in mount, PID, IPC, UTS, cgroup and network namespaces of
// its own, whose root holds the program, its libraries and what it boots, read-only, and nothing else.
//
// SECURITY: whoever breaks out of a guest into QEMU is in this jail. docs: the test reads all of this from outside.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "linux/cgroup.h"
#include "linux/seccomp.h"
#include "sandbox/vm/shares.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

struct JailBind {
  std::filesystem::path source;
  std::string target;   // inside; a file or folder, as the source is
  bool device = false;  // else device files don't work in it
};

struct JailedFile {
  UniqueFd file;
  int number = 0;  // its descriptor inside
};

struct JailSpec {
  std::vector<std::string> arguments;  // [0] is the program, a path of the host and of the jail
  std::vector<JailBind> binds;         // beside the program and its libraries
  std::vector<std::string> folders;    // empty ones
  std::vector<JailedFile> files;       // handed over; 0 to 2 are /dev/null
  std::filesystem::path staging;       // an empty folder of the host, for a moment
  std::vector<Share> shares;           // at <shares_folder>/<number>
  std::string shares_folder;
  // With shares: QEMU is root of this namespace, with those capabilities alone that a file server needs, and they reach no
  // further than files whose ids the namespace has: those of the shares.
  UniqueFd user_namespace;
  const linux::Cgroup* cgroup = nullptr;
  uid_t user = 0;
  std::vector<gid_t> groups;
  linux::SeccompFilter filter;  // for the program, from its execve(2) on
};

struct Jailed {
  pid_t pid = 0;
  UniqueFd pidfd;
};

/// Returns once the program executes. Throws naming the step that failed; nothing is left then.
Jailed start_jailed(JailSpec spec);

/// The first of kJailIds user ids that no account has, others for each call.
uid_t choose_jail_user();

}  // namespace bulkhead::sandbox::vm
