// The one container of a shim: its sandbox, its init and its execs, from Create to Delete. What the Task API means, without
// its wire. One thread, the loop's.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"
#include "shim/event_loop.h"
#include "shim/event_publisher.h"
#include "shim/file_server.h"
#include "shim/isolation_registry.h"
#include "shim/process_streams.h"
#include "support/error.h"
#include "task/client.h"

namespace bulkhead::shim {

class Container {
 public:
  using Waiter = std::function<void(const task::ExitStatus&)>;

  struct Removed {
    pid_t pid = 0;
    task::ExitStatus exit;
  };

  struct Description {
    task::State state;
    task::Stdio stdio;
  };

  Container(EventLoop& loop, const IsolationRegistry& isolations, EventPublisher& events, std::string id,
            std::filesystem::path cache_folder);

  const std::string& id() const { return id_; }
  const std::filesystem::path& bundle() const { return bundle_; }
  bool exists() const { return sandbox_ != nullptr; }
  /// No attach client of a process that was removed still waits for output.
  bool all_sent();

  /// `exec_id` "" is the init everywhere below. Errors as said at task::Client.
  pid_t create(const task::CreateRequest& request);
  pid_t start(const std::string& exec_id);
  void exec(const std::string& exec_id, const std::string& process_json, const task::Stdio& stdio);
  void wait(const std::string& exec_id, Waiter waiter);
  Description describe(const std::string& exec_id);
  void kill(const std::string& exec_id, int signal_number, sandbox::SignalScope scope);
  void resize(const std::string& exec_id, uint16_t rows, uint16_t columns);
  void close_stdin(const std::string& exec_id);
  void pause();
  void resume();
  void update(const std::string& resources_json);
  std::vector<task::ProcessInfo> processes();
  sandbox::Statistics statistics();
  /// With filters evaluated, and with this shim among what the wall runs.
  void measure(facts::Wall& wall);
  /// What the container wrote is to be thrown away: `remove` is then quicker. kConflict while it runs.
  void discard();
  Removed remove(const std::string& exec_id);
  void attach(const std::string& exec_id, UniqueFd socket, const task::AttachHeader& header);
  /// `connection` hears of the end (task/file_line.h).
  void work_on_files(archive::FileRequest request, UniqueFd stream, UniqueFd connection);
  /// Whatever state it is in: kills and removes everything. For a shutdown that can't wait.
  void destroy();

  /// Is this child one that the sandbox collects?
  bool is_own_child(pid_t pid) const;

 private:
  struct Process {
    std::string exec_id;
    task::Stdio stdio;
    std::unique_ptr<ProcessStreams> streams;
    std::optional<oci::Process> to_run;  // an exec that was not started yet
    task::Status status = task::Status::kCreated;
    pid_t pid = 0;
    int exit_descriptor = -1;
    task::ExitStatus exit;
    Watch exit_watch;
    std::vector<Waiter> waiters;
  };

  Process& find(const std::string& exec_id);
  sandbox::Sandbox& live();
  std::unique_ptr<sandbox::Sandbox> make_sandbox(const task::CreateRequest& request, ProcessStreams& streams);
  void adopt(Process& process, const sandbox::StartedProcess& started);
  void start_init(Process& init);
  void start_exec(Process& process);
  void on_exit(Process& process);
  void end_sandbox_of_init(const sandbox::ExitStatus& status);
  void end(Process& process, const task::ExitStatus& exit);
  void linger(Process& process);
  void forget();

  EventLoop& loop_;
  const IsolationRegistry& isolations_;
  EventPublisher& events_;
  std::string id_;
  std::filesystem::path cache_folder_;
  std::filesystem::path bundle_;
  bool paused_ = false;
  std::unique_ptr<sandbox::Isolation> isolation_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  FileServer files_;  // of the sandbox: goes before it
  std::map<std::string, Process> processes_;
  std::list<std::unique_ptr<ProcessStreams>> lingering_;  // of removed processes, while clients still read
};

}  // namespace bulkhead::shim
