// What the child of clone3 will do, worked out beforehand: plain strings, numbers and descriptors in arrays. The child may
// neither allocate nor throw (it is a copy of one thread of a process that may have had others), so everything that can be
// decided or that can fail without the kernel is decided here, by the parent.
//
// A Plan is built by plan_container.cc and plan_process.cc, run once by launch.cc, and owns all that it points to.
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/shared_command.h"
#include "support/unique_fd.h"

namespace bulkhead::runner {

/// Owner of the plan's strings; a deque never moves them.
class Texts {
 public:
  const char* keep(std::string text) { return texts_.emplace_back(std::move(text)).c_str(); }

 private:
  std::deque<std::string> texts_;
};

struct FsOption {
  const char* key = nullptr;
  const char* value = nullptr;  // nullptr: a flag
};

enum class MountKind : uint8_t {
  kBind,           // a tree of the host, cloned
  kFilesystem,     // a new file system
  kSetAttributes,  // changes the mount that is already there
  kSymlink,        // not a mount: a link inside one (the names of joined v1 controllers)
};
enum class Symlinks : uint8_t { kInsideRoot, kForbidden };

struct PlannedMount {
  MountKind kind = MountKind::kBind;
  Symlinks symlinks = Symlinks::kInsideRoot;
  const char* target = nullptr;  // absolute, plain (no "." or "..")
  const char* source = nullptr;  // bind: the host's path. Symlink: its text
  const char* type = nullptr;
  std::vector<FsOption> options;
  uint64_t set = 0, clear = 0;                      // MOUNT_ATTR_*, of the topmost mount
  uint64_t recursive_set = 0, recursive_clear = 0;  // of it and all below
  uint64_t propagation = 0;                         // MS_PRIVATE ..., of it and all below; 0: leave
  bool recursive_bind = false;
  bool exact_source = false;  // no link is followed to it
  int fd = -1;                // the child's: the detached mount
};

struct RootfsMount {  // by mount(2) on <bundle>/rootfs, a path of the host
  const char* type = nullptr;
  const char* source = nullptr;
  unsigned long flags = 0;
  const char* data = nullptr;
};

struct PlannedDevice {
  const char* path = nullptr;
  mode_t mode = 0;  // with S_IFCHR ...
  dev_t device = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct MadePath {
  const char* path = nullptr;
  mode_t kind = 0;  // S_IFDIR, or S_IFREG: an empty file
};

struct PlannedSysctl {
  const char* path = nullptr;  // "sys/net/..."
  const char* value = nullptr;
  size_t size = 0;
};

struct NamespaceJoin {
  UniqueFd fd;
  uint64_t flag = 0;
  const char* path = nullptr;
};

/// What the wall around the init is made of.
struct ContainerPlan {
  std::vector<NamespaceJoin> joins;
  bool user_namespace = false;  // new: wait for the mappings
  bool own_cgroup_namespace = false;
  bool own_mount_namespace = true;
  const char* rootfs = nullptr;            // host path
  std::vector<RootfsMount> rootfs_mounts;  // empty: the folder is bound onto itself
  unsigned long root_propagation = 0;      // of the finished root alone
  bool readonly_root = false;
  std::vector<PlannedMount> mounts;
  bool make_devices = false;  // /dev is the container's own
  std::vector<PlannedDevice> devices;
  std::vector<PlannedSysctl> sysctls;
  std::vector<const char*> masked, readonly;
  std::vector<MadePath> made;  // where they are missing
  const char* hostname = nullptr;
  const char* domainname = nullptr;
};

/// Which walls an exec passes.
struct ExecPlan {
  int init_pidfd = -1;
  uint64_t namespaces = 0;  // CLONE_NEW*
};

struct PlannedRlimit {
  int resource = 0;
  rlimit limit{};
  const char* name = nullptr;
};

struct CapabilitySets {
  uint64_t bounding = 0, effective = 0, inheritable = 0, permitted = 0, ambient = 0;
};

/// What the process is, whether init or exec.
struct ProcessPlan {
  std::vector<const char*> argv, environment;  // each ends with nullptr
  std::vector<const char*> candidates;         // paths to try, in order; ends with nullptr
  std::unique_ptr<SharedCommand> shared;       // where set: the three above are read there, as they are when the init starts
  const char* cwd = "/";
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  bool set_groups = true;
  mode_t umask = 0022;
  CapabilitySets capabilities;
  std::vector<PlannedRlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<std::vector<sock_filter>> seccomp;
  unsigned seccomp_flags = 0;
  const char* apparmor = nullptr;  // "exec PROFILE"
  bool terminal = false;
  uint16_t rows = 0, columns = 0;
  std::array<UniqueFd, 3> streams;  // above 2, unless terminal
  std::array<bool, 3> streams_null{};
};

struct Plan {
  Texts texts;
  ProcessPlan process;
  std::optional<ContainerPlan> container;  // the init
  std::optional<ExecPlan> exec;            // or an exec
  uint64_t clone_flags = 0;
  std::vector<UniqueFd> cgroup_entrances;  // v1
  UniqueFd cgroup_folder;                  // v2
  UniqueFd pid_namespace;                  // to be born in, where it is joined and not new
};

}  // namespace bulkhead::runner
