// The keeper of VMs (`containerd-shim-bulkhead-v2 vm-keeper`), a child of this process that prepares VMs for its shims. It
// lives as long as its owner: what ties them is its standard input, so that not even SIGKILL leaves it behind.
//
// Not thread-safe.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::task {

struct KeeperRequest {
  std::filesystem::path binary;        // containerd-shim-bulkhead-v2
  std::filesystem::path cache_folder;  // of the shims that it serves
  std::filesystem::path blank_disk;    // what containers' disks are copies of
  std::string cgroup;                  // of the VMs that wait: "/bulkhead-<instance>/..."
  unsigned warm = 2;                   // how many wait
  std::filesystem::path log;           // its standard error
};

class KeeperProcess {
 public:
  /// Returns at once; the keeper prepares in the background. Throws where the program can't be run.
  explicit KeeperProcess(const KeeperRequest& request);
  /// Ends it, and waits until it has removed what it made (a second at most, then by force).
  ~KeeperProcess();
  KeeperProcess(const KeeperProcess&) = delete;
  KeeperProcess& operator=(const KeeperProcess&) = delete;

  /// Doesn't block.
  bool runs();

 private:
  pid_t pid_ = 0;
  UniqueFd lifeline_;
};

}  // namespace bulkhead::task
