// A keeper of VMs for a test: in a process of its own, as the engine starts it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "sandbox/vm/keeper/keeper.h"
#include "sandbox/vm/keeper_client.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox {

class KeeperProcess {
 public:
  /// Its socket is in `folder`, the test's cache folder. `blank`: KeeperOptions.
  KeeperProcess(vm::Configuration configuration, const std::filesystem::path& folder, const std::string& id, unsigned warm,
                const std::filesystem::path& blank = {});
  /// Closes its standard input and waits for its end.
  ~KeeperProcess();
  KeeperProcess(const KeeperProcess&) = delete;
  KeeperProcess& operator=(const KeeperProcess&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& cgroup() const { return options_.cgroup; }
  const std::filesystem::path& socket() const { return options_.socket; }
  /// Until it has so many templates, and so many VMs that wait.
  void await_stock(unsigned warm, unsigned templates = 1);
  /// SIGKILL.
  void kill();
  int end();

 private:
  vm::Configuration configuration_;
  vm::KeeperOptions options_;
  UniqueFd lifeline_;
  pid_t pid_ = 0;
};

}  // namespace bulkhead::sandbox
