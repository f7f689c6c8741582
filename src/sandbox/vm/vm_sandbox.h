// One live wall of `--isolation=hyperv`: a VM and the container in it. Owned by the shim, used by its one thread.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "facts/given_mounts.h"
#include "linux/cgroup.h"
#include "sandbox/sandbox.h"
#include "sandbox/vm/agent_session.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/guest_process.h"
#include "sandbox/vm/guest_spec.h"
#include "sandbox/vm/machine.h"
#include "sandbox/vm/network_link.h"

namespace bulkhead::sandbox::vm {

/// The host's cgroup of the VM: where process mode would have the container's.
linux::Cgroup cgroup_of(const std::string& id, const oci::Spec& spec);

class VmSandbox final : public Sandbox {
 public:
  /// Builds everything; on failure nothing is left.
  VmSandbox(const Configuration& configuration, SandboxSpec spec);
  ~VmSandbox() override;

  StartedProcess& init() override { return init_->started(); }
  void start() override;
  StartedProcess& exec(const std::string& exec_id, const oci::Process& process, ProcessIo io) override;
  ExitStatus reap(const std::string& exec_id) override;
  void signal(const std::string& exec_id, int signal_number, SignalScope scope) override;
  void resize(const std::string& exec_id, uint16_t rows, uint16_t columns) override;
  void pause() override;
  void resume() override;
  void update(const oci::Resources& resources) override;
  Statistics statistics() override;
  std::vector<pid_t> processes() override { return {}; }
  std::vector<ProcessEntry> inner_processes() override;
  std::unique_ptr<FileWork> work_on_files(archive::FileRequest request, UniqueFd stream) override;
  void measure(facts::Wall& wall) override;
  void discard() override { discarded_ = true; }
  void destroy() override;

 private:
  enum class Running { kRunning, kPaused };

  void boot(const GuestSpec& guest, const SandboxSpec& spec);
  void create_container(const GuestSpec& guest, SandboxSpec spec);
  void call(const char* method, const google::protobuf::MessageLite& request, google::protobuf::MessageLite& response,
            std::chrono::milliseconds timeout);
  void call(const char* method, const google::protobuf::MessageLite& request);
  void call_later(const char* method, std::shared_ptr<google::protobuf::MessageLite> request);
  GuestProcess& find(const std::string& exec_id);
  void need_running() const;
  void kill_init(const google::protobuf::MessageLite& request);
  void lose();
  void limit_processor_time();
  void measure_guest(facts::Wall& wall);
  void release_guest();

  Configuration configuration_;
  std::string id_;
  std::filesystem::path staging_;
  linux::Cgroup cgroup_;
  oci::Resources asked_;           // the container's limits, of which the host's part holds from `start` on
  oci::Resources host_resources_;  // what that was given
  facts::GivenMounts mounts_;      // QEMU's
  std::unique_ptr<NetworkLink> network_;
  std::future<void> enters_cgroup_;  // see RunningVm
  std::unique_ptr<Machine> machine_;
  std::unique_ptr<AgentSession> session_;
  bool created_ = false;  // see RunningVm
  std::shared_ptr<GuestProcess> init_;
  std::map<std::string, std::shared_ptr<GuestProcess>> execs_;
  std::vector<std::weak_ptr<GuestProcess>> files_;  // work that may be under way
  uint64_t next_files_ = 0;
  bool init_ended_ = false;
  Running running_ = Running::kRunning;
  std::optional<Statistics> counted_at_pause_;
  std::string lost_reason_;
  bool discarded_ = false;
  bool destroyed_ = false;
};

}  // namespace bulkhead::sandbox::vm
