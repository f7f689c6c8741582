// Brings a container's VM up by the quickest way there is: one that waits in the keeper's pool, a clone of its template, a cold
// boot. What fails is followed by the next way.
//
// Called by the sandbox, in the shim's thread; blocks until the guest is configured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>

#include "linux/cgroup.h"
#include "sandbox/sandbox.h"
#include "sandbox/vm/agent_session.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/guest_spec.h"
#include "sandbox/vm/machine.h"
#include "sandbox/vm/network_link.h"

namespace bulkhead::sandbox::vm {

/// Bytes, nominal: a guest remembers the size of its template's disks, so all disks of containers have this size. The files are
/// sparse. A container with a disk of another size is booted cold.
inline constexpr uint64_t kDiskSize = 64UL << 30;

struct RunningVm {
  std::unique_ptr<NetworkLink> network;  // null: the container has none
  std::unique_ptr<Machine> machine;
  std::unique_ptr<AgentSession> session;
  bool created = false;  // the container is created in the guest already, and told whose it is
  // The host's limits on QEMU hold when it is done: before anybody is told that the container runs. Waits when it is dropped.
  std::future<void> enters_cgroup;
};

/// `cgroup` stays where it is for as long as the VM enters it. The guest has its network, clock, names and random
/// numbers, and the container's disks. `cgroup` exists already and has the host's limits; `staging` is an empty folder. Throws
/// what the last way failed with; nothing is left then.
RunningVm start_vm(const Configuration& configuration, const SandboxSpec& spec, const GuestSpec& guest,
                   const linux::Cgroup& cgroup, const std::filesystem::path& staging);

/// The kind of VM that this container gets.
MachineShape shape_of(const Configuration& configuration, const SandboxSpec& spec);

}  // namespace bulkhead::sandbox::vm
