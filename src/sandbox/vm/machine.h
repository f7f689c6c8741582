// One QEMU process: started in its jail, driven by QMP, ended with its owner.
//
// Owned by the sandbox; the shim's thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "linux/cgroup.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/qemu_arguments.h"
#include "sandbox/vm/qmp.h"
#include "sandbox/vm/shares.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

struct BootRequest {
  MachineShape shape;
  UniqueFd image, scratch;
  UniqueFd tap;  // invalid where shape.network is kNone
  std::vector<ShareSpec> shares;
  std::filesystem::path staging;
  const linux::Cgroup* cgroup = nullptr;
};

class Machine {
 public:
  /// Throws kNotSupported naming what a VM needs and isn't there.
  static void check(const Configuration& configuration);
  /// Cold boot. Returns as soon as QEMU answers; the guest's kernel is on its way then. Throws naming what is missing.
  static std::unique_ptr<Machine> boot(const Configuration& configuration, BootRequest request);
  /// Kills what lives.
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  pid_t pid() const { return pid_; }
  UniqueFd take_agent_channel() { return std::move(agent_); }
  void stop();
  void resume();
  /// SIGKILL, and waits until it is gone. Nothing happens where it is.
  void kill() noexcept;
  /// For a machine that ended by itself: in words why. Collects it.
  std::string why_lost();

 private:
  Machine() = default;

  pid_t pid_ = 0;
  UniqueFd pidfd_, agent_;
  std::unique_ptr<Qmp> qmp_;
  bool collected_ = false;
};

}  // namespace bulkhead::sandbox::vm
