// The control groups of one container: one folder in every v1 hierarchy, or one in the v2 tree. The same interface for both.
//
// A `Cgroup` value names the folders; `create` makes them and `remove` takes them away. The owner is the process sandbox; not
// thread-safe. Nothing here waits for the container, but for the kernel to freeze or end what was told to.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "oci/runtime_spec.h"
#include "support/unique_fd.h"

namespace bulkhead::linux {

struct CgroupStatistics {
  uint64_t memory_usage = 0, memory_limit = 0, memory_inactive_file = 0, memory_max_usage = 0;  // bytes
  uint64_t cpu_usage = 0, cpu_user = 0, cpu_system = 0;                                         // nanoseconds
  uint64_t periods = 0, throttled_periods = 0, throttled_time = 0;                              // time in nanoseconds
  uint64_t pids_current = 0, pids_limit = 0;                                                    // limit 0: unlimited
};

/// One v1 hierarchy's folder, for mounting it into the container.
struct CgroupFolder {
  std::string name;  // of the mount point: "memory", "cpu,cpuacct"
  std::vector<std::string> controllers;
  std::filesystem::path path;
};

class Cgroup {
 public:
  /// `path` is relative to each hierarchy's root, "/bulkhead/<id>". kInvalidArgument for ".." and for systemd's
  /// "slice:prefix:name" form.
  explicit Cgroup(std::string path);

  /// Makes the folders and sets `resources`. kConflict where one exists and holds processes. On failure removes what it made.
  void create(const oci::Resources& resources);
  /// Changes what is set in `resources`, keeps the rest. kNotSupported where this host has no such controller.
  void apply(const oci::Resources& resources) const;

  /// v1: files into which a single-threaded process writes "0" to enter (see docs/decisions on why it must be the process
  /// itself). Empty on v2.
  std::vector<UniqueFd> open_entrances() const;
  /// v2: the folder for clone3's CLONE_INTO_CGROUP. Invalid on v1.
  UniqueFd open_folder() const;
  std::vector<CgroupFolder> folders() const;

  /// Moves a running process, with all its threads, into the group. On v1 the kernel may wait some milliseconds (see
  /// docs/decisions): only for processes that can't enter by themselves.
  void add(pid_t pid) const;

  void freeze() const;
  void thaw() const;
  bool frozen() const;
  std::vector<pid_t> processes() const;
  void signal_all(int signal_number) const;
  /// SIGKILL to everything, also to what is born meanwhile, and waits until the group is empty (at most ten seconds).
  void kill_all() const;
  CgroupStatistics statistics() const;
  /// How many processes the OOM killer took.
  uint64_t oom_kills() const;
  /// Removes the folders, nested ones (made by the container) too. Nothing happens where they are gone.
  void remove() const;

  const std::string& path() const { return path_; }

 private:
  std::filesystem::path folder(const char* controller) const;

  std::string path_;
};

}  // namespace bulkhead::linux
