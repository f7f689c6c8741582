// One QEMU process: started in its jail, driven by QMP, ended with its owner.
//
// Owned by the sandbox; the shim's thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linux/cgroup.h"
#include "linux/pidfd.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/qemu_arguments.h"
#include "sandbox/vm/qmp.h"
#include "sandbox/vm/qmp_commands.h"
#include "sandbox/vm/shares.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

struct MachineRequest {
  MachineShape shape;
  UniqueFd image, scratch;
  UniqueFd tap;
  std::vector<ShareSpec> shares;
  std::filesystem::path staging;
  const linux::Cgroup* cgroup = nullptr;
};

/// A machine that was booted once and stopped. Both files are sealed: nobody can change them.
struct Template {
  UniqueFd memory, devices;
  UniqueFd scratch;  // where valid: a container is created in the guest, and this is the content of its disk; sealed too
};

/// A machine that another process has started.
struct WarmMachine {
  pid_t pid = 0;
  UniqueFd pidfd, monitor, agent;
  UniqueFd network_namespace;  // where its tap is
  DiskChanges changes;
  UniqueFd scratch;  // where valid: a container is created in the guest; its disk, without a name
};

class Machine {
 public:
  /// Throws kNotSupported naming what a VM needs and isn't there.
  static void check(const Configuration& configuration);
  /// Cold boot. Returns as soon as QEMU answers; the guest's kernel is on its way then. Throws naming what is missing.
  static std::unique_ptr<Machine> boot(const Configuration& configuration, MachineRequest request);
  /// The same with its memory in a file, to become a template.
  static std::unique_ptr<Machine> boot_template(const Configuration& configuration, MachineRequest request,
                                                const UniqueFd& memory);
  /// A machine in the state in which the template was saved; the guest runs when this returns. `request` has the template's
  /// shape.
  static std::unique_ptr<Machine> clone(const Configuration& configuration, MachineRequest request, const Template& from);
  /// Takes a machine over: it ends with this object from now on. `patience`: for each of QEMU's answers, until it is changed.
  static std::unique_ptr<Machine> adopt(WarmMachine warm, std::chrono::milliseconds patience);
  void set_patience(std::chrono::milliseconds patience) { qmp_->set_timeout(patience); }
  /// Gives it away instead. Throws kConflict where QMP is in use; it is ended then.
  WarmMachine give_away();
  /// Kills what lives.
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  pid_t pid() const { return pid_; }
  UniqueFd take_agent_channel() { return std::move(agent_); }
  /// A new file for a disk, which the guest must not use now, or which has the same content.
  void change_image(const UniqueFd& image);
  void change_scratch(const UniqueFd& scratch);
  /// Stops, and writes all but the memory to `file`.
  void save(const UniqueFd& file, std::chrono::milliseconds timeout);
  void stop();
  void resume();
  /// SIGKILL; its end takes some milliseconds in which the caller may do something else. `kill` waits for it.
  void begin_end() noexcept;
  /// SIGKILL, and waits until it is gone. Nothing happens where it is.
  void kill() noexcept;
  /// For a machine that ended by itself: in words why. Collects it.
  std::string why_lost();

 private:
  enum class Parent { kThis, kAnother };

  Machine() = default;
  static std::unique_ptr<Machine> start(const Configuration& configuration, MachineRequest request, Origin origin,
                                        const UniqueFd& memory);
  void end() noexcept;
  std::optional<linux::WaitResult> collect() const;

  Parent parent_ = Parent::kThis;
  pid_t pid_ = 0;
  UniqueFd pidfd_, agent_;
  std::unique_ptr<Qmp> qmp_;
  DiskChanges changes_;
  bool collected_ = false;
};

}  // namespace bulkhead::sandbox::vm
