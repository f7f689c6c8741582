// One live wall of `--isolation=process`. Owned by the shim, used by its one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "facts/given_mounts.h"
#include "linux/cgroup.h"
#include "linux/seccomp.h"
#include "runner/launch.h"
#include "sandbox/sandbox.h"

namespace bulkhead::sandbox {

/// The container's cgroup: linux.cgroupsPath, or "/bulkhead/<id>".
linux::Cgroup cgroup_of(const std::string& id, const oci::Spec& spec);

class ProcessSandbox final : public Sandbox {
 public:
  enum class Command { kFinal, kReplaceable };

  /// Builds everything; on failure nothing is left. `seccomp`: the spec's section, compiled.
  ProcessSandbox(SandboxSpec spec, std::optional<linux::SeccompFilter> seccomp, Command command = Command::kFinal);
  /// Destroys what is left, so that no process outlives its wall's owner.
  ~ProcessSandbox() override;

  StartedProcess& init() override;
  /// Of a container that was made kReplaceable and waits for `start`: gives it another hostname (of its own UTS namespace), and
  /// other args and env of its process.
  void personalize(const std::string& hostname, const std::vector<std::string>& args, const std::vector<std::string>& env);
  void start() override;
  StartedProcess& exec(const std::string& exec_id, const oci::Process& process, ProcessIo io) override;
  ExitStatus reap(const std::string& exec_id) override;
  void signal(const std::string& exec_id, int signal_number, SignalScope scope) override;
  void resize(const std::string& exec_id, uint16_t rows, uint16_t columns) override;
  void pause() override;
  void resume() override;
  void update(const oci::Resources& resources) override;
  Statistics statistics() override;
  std::vector<pid_t> processes() override;
  std::unique_ptr<FileWork> work_on_files(archive::FileRequest request, UniqueFd stream) override;
  void measure(facts::Wall& wall) override;
  void destroy() override;

 private:
  struct Live {
    std::unique_ptr<runner::Launched> launched;
    StartedProcess started;
    UniqueFd terminal;  // our own duplicate of the console, for resize: the shim may close its one
    bool ended = false;
  };

  Live& find(const std::string& exec_id);
  void adopt(Live& live, std::unique_ptr<runner::Launched> launched);
  void kill_process(Live& live) const;
  bool has_own_namespace(std::string_view kind) const;

  std::string id_;
  oci::Spec spec_;
  std::optional<linux::SeccompFilter> seccomp_;
  linux::Cgroup cgroup_;
  Live init_;
  facts::GivenMounts mounts_;
  std::map<std::string, Live> execs_;
  bool destroyed_ = false;
};

}  // namespace bulkhead::sandbox
