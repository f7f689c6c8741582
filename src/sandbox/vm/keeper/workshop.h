// Makes what the keeper gives: templates and warm VMs.
//
// Owned by the keeper; its maker's thread only. Each call takes as long as VMs take to boot.
#pragma once

#include <filesystem>

#include "linux/cgroup.h"
#include "sandbox/vm/agent_session.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/keeper/throwaway_disks.h"
#include "sandbox/vm/keeper_client.h"
#include "sandbox/vm/machine.h"

namespace bulkhead::sandbox::vm {

class Workshop {
 public:
  /// `cgroup` exists: all VMs begin their lives in it. `folder` is the keeper's alone. `blank` as ThrowawayDisks has it.
  Workshop(const Configuration& configuration, const linux::Cgroup& cgroup, const std::filesystem::path& folder,
           const std::filesystem::path& blank);

  /// Boots a VM, warms it up, creates `request.container` in it where there is one, saves it. Throws what it failed with;
  /// nothing is left then.
  Template make_template(const KeeperRequest& request);
  /// Clones `from`, which has no container, and does the same with the clone: it runs, and waits for its first configuration.
  WarmMachine make_warm(const KeeperRequest& request, const Template& from);

 private:
  MachineRequest prepare(const KeeperRequest& request, UniqueFd& network_namespace);
  void prepare_container(Machine& machine, AgentSession& session, const KeeperRequest& request, const UniqueFd& scratch,
                         std::chrono::milliseconds timeout) const;
  Configuration configuration_of(const KeeperRequest& request) const;

  const Configuration& configuration_;
  const linux::Cgroup& cgroup_;
  std::filesystem::path folder_, staging_;
  ThrowawayDisks disks_;
};

}  // namespace bulkhead::sandbox::vm
