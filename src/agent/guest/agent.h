// The agent's service: one container by process isolation, driven by the host's requests.
//
// The only thread of PID 1. Orphans of the container are collected by the container's own init (it has its own PID namespace);
// nothing else runs in the guest.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/guest/process_io.h"
#include "agent/guest/root_disks.h"
#include "agent/protocol/agent.pb.h"
#include "agent/protocol/event_loop.h"
#include "agent/protocol/server.h"
#include "sandbox/process/process_sandbox.h"

namespace bulkhead::agent {

class Agent {
 public:
  Agent(EventLoop& loop, UniqueFd port);

 private:
  /// Of the container, or work on its files, which has streams and an end likewise.
  struct Process {
    std::unique_ptr<sandbox::FileWork> work;
    std::unique_ptr<InputStream> in;
    std::unique_ptr<OutputStream> out, err;
    UniqueFd console_peer;
    Watch exit_watch;
    std::optional<wire::WaitResponse> exit;
    std::optional<Error> failure;  // of the work, in place of `exit`
    std::vector<Reply> waiting;
    bool told = false;  // the exit status
  };
  using Method = void (Agent::*)(const std::string& payload, const Reply& reply);

  void handle(const std::string& method, const std::string& payload, const Reply& reply);
  void configure(const std::string& payload, const Reply& reply);
  void create(const std::string& payload, const Reply& reply);
  void start(const std::string& payload, const Reply& reply);
  void exec(const std::string& payload, const Reply& reply);
  void wait(const std::string& payload, const Reply& reply);
  void read(const std::string& payload, const Reply& reply);
  void write(const std::string& payload, const Reply& reply);
  void close(const std::string& payload, const Reply& reply);
  void signal(const std::string& payload, const Reply& reply);
  void resize(const std::string& payload, const Reply& reply);
  void update(const std::string& payload, const Reply& reply);
  void processes(const std::string& payload, const Reply& reply);
  void files(const std::string& payload, const Reply& reply);
  void measure(const std::string& payload, const Reply& reply);
  void statistics(const std::string& payload, const Reply& reply);
  void release(const std::string& payload, const Reply& reply);

  void give_to(const wire::Owner& owner);
  sandbox::Sandbox& live();
  Process& find(const std::string& exec_id);
  void adopt(const std::string& exec_id, sandbox::StartedProcess& started, Process process);
  void on_exit(const std::string& exec_id);
  void on_work_done(const std::string& id);
  void tell_end(const std::string& exec_id);
  void forget_if_done(const std::string& exec_id);

  EventLoop& loop_;
  wire::ConfigureRequest configured_;
  ImageDisk image_disk_ = ImageDisk::kUnmounted;
  std::optional<RootDisks> disks_;
  std::unique_ptr<sandbox::ProcessSandbox> sandbox_;
  std::string prepared_home_;                 // "HOME=..." of the user that a prepared container's init runs as
  std::map<std::string, Process> processes_;  // "": the init
  Server server_;
};

}  // namespace bulkhead::agent
