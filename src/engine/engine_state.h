// Inside the engine: the live containers and what the files beside this one do with them. Not for other folders.
//
// Locks, in this order: Engine::State::kernel_choices (creates, the removal of a kernel), then LiveContainer::operation (held
// for the whole of one state change: start, end, pause, remove, rename), then Engine::State::mutex (the tables), then
// LiveContainer::mutex (the record; never held over a system call that blocks).
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "database/database.h"
#include "engine/admission.h"
#include "engine/container_records.h"
#include "engine/engine.h"
#include "engine/isolation_default.h"
#include "engine/isolation_modes.h"
#include "engine/kernel_fit.h"
#include "engine/spec_builder.h"
#include "image/image_store.h"
#include "kernels/catalogue.h"
#include "network/network_store.h"
#include "storage/layer_store.h"
#include "storage/snapshot_store.h"
#include "support/error.h"
#include "task/client.h"
#include "task/file_call.h"
#include "task/keeper_process.h"

namespace bulkhead::engine {

/// A client that attached before the container ran: given its stream between the create and the start of the process.
class PendingAttachment {
 public:
  explicit PendingAttachment(AttachOptions options);
  const AttachOptions& options() const { return options_; }
  int ready() const { return event_.get(); }
  /// Hands the stream over (invalid: there will be none).
  void resolve(UniqueFd stream);
  UniqueFd take();

 private:
  AttachOptions options_;
  UniqueFd event_;  // eventfd(2)
  std::mutex mutex_;
  UniqueFd stream_;
};

/// A container whose files can be reached for the moment.
struct ReachedFiles {
  const Container& record;
  std::filesystem::path bundle;  // of the shim that reaches them
  std::vector<task::Interrupt> interrupts;
};
using FilesBody = std::function<void(const ReachedFiles&)>;

struct LiveExec {
  Exec record;
  std::shared_ptr<task::Client> client;
};

/// What somebody who waits for an ended container's wall to go wants with what the container wrote.
enum class Leftovers { kUndecided, kKept, kThrownAway };

struct LiveContainer {
  std::mutex operation;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  Container record;
  uint64_t ends = 0;  // how often it has ended while this engine lived
  bool removed = false;
  int forced_removals = 0;   // under way: nobody starts it meanwhile
  bool wall_leaves = false;  // its end was told, its wall is still there: whoever takes `operation` finds it gone
  Leftovers leftovers = Leftovers::kUndecided;
  bool restart_wanted = true;            // false: stopped or killed by the user since its start
  std::shared_ptr<task::Client> client;  // while it has a shim
  const UniqueFd* copy_break = nullptr;  // while a copy holds `operation`: an eventfd(2) that breaks it off
  std::vector<std::shared_ptr<PendingAttachment>> attachments;
  std::map<std::string, std::shared_ptr<LiveExec>> execs;

  Container copy() {
    std::lock_guard lock(mutex);
    return record;
  }
  bool leaves() {
    std::lock_guard lock(mutex);
    return wall_leaves;
  }
  /// Somebody is about to wait for `operation`: what holds it need not wait for a decision any longer.
  void decide(Leftovers decision) {
    {
      std::lock_guard lock(mutex);
      leftovers = decision;
    }
    changed.notify_all();
  }
  void break_copy_off();
};

using LivePointer = std::shared_ptr<LiveContainer>;

struct Engine::State {
  explicit State(EngineOptions engine_options);

  EngineOptions options;
  std::string instance;  // short, of the root's path; part of every name in the kernel
  UniqueFd root_lock;
  Database database;
  storage::LayerStore layers;
  storage::SnapshotStore snapshots;
  image::ImageStore images;
  network::NetworkStore networks;
  ContainerRecords records;
  IsolationModes isolations;
  IsolationDefault isolation_default;
  kernels::Catalogue kernels;
  /// Shared by each create from its choice of a kernel until its container is in the tables; a kernel is removed under it
  /// alone.
  std::shared_mutex kernel_choices;
  KernelFit kernel_fit;
  std::mutex keeper_mutex;
  std::unique_ptr<task::KeeperProcess> keeper;  // of VMs, from the first container with a kernel of its own on
  EventBus events;
  Admission admission;

  std::mutex mutex;  // guards the tables
  std::map<std::string, LivePointer> by_id;
  std::map<std::string, std::string> id_by_name;
  std::map<std::string, LivePointer> by_exec;

  // lookup (engine.cc)
  LivePointer find(const std::string& reference);
  std::vector<LivePointer> all();

  // creation and removal (create.cc, remove.cc)
  /// The mode where neither the client nor the policy names one.
  policy::Mode usual_mode() const;
  Container define(const CreateRequest& request, std::vector<std::string>& warnings);
  void need_keeper();
  void take_name(Container& container, const std::string& wanted);
  /// It can't be started any more; nothing where it runs, or is about to.
  void begin_removal(const LivePointer& live);
  void remove_locked(const LivePointer& live);
  void remove_ended(const LivePointer& live);
  /// Kills it and waits for its end; the caller keeps it from being started.
  void end_by_force(const LivePointer& live);

  // life (start.cc, end.cc)
  void start(const LivePointer& live);
  void start_locked(const LivePointer& live);
  void forget_execs(LiveContainer& live);
  void launch(const LivePointer& live, Container& record);
  void start_failed(const LivePointer& live, const Error& error);
  void watch(const LivePointer& live);
  void ended(const LivePointer& live, const task::ExitStatus& status, const task::ExitDetails& details);
  /// Writes the end down and tells everybody who waits for it.
  void tell_end(const LivePointer& live, int code, TimePoint time, const task::ExitDetails& details);
  /// By its shim, which ends then; where there is none that answers, by another. Lets go of network and bundle.
  void take_wall_down(const Container& record, const std::shared_ptr<task::Client>& client, Leftovers leftovers);
  /// The same, and what fails is only logged.
  void try_to_take_wall_down(const Container& record, const std::shared_ptr<task::Client>& client, Leftovers leftovers);
  void restart_later(const LivePointer& live);
  /// Its next end is its last; one that waits for its restart ends here: true.
  bool want_no_restart(const LivePointer& live);
  /// Blocks until it doesn't run, at most `milliseconds` (negative: for ever). True where it ended.
  bool wait_for_end(const LivePointer& live, int64_t milliseconds);
  /// A start under way is over afterwards: a signal to a process that isn't there yet would be lost.
  void await_start(const LivePointer& live);
  void signal(const LivePointer& live, int signal_number);
  void watch_exec(const LivePointer& live, const std::shared_ptr<LiveExec>& exec);

  // the files inside (archive.cc, idle_wall.cc)
  /// Calls `body` once the container's files can be reached.
  void with_files(const std::string& reference, const CopyClient& client, const FilesBody& body);
  /// The same for a container that doesn't run; the caller holds its operation. False, and `body` wasn't called, where it runs:
  /// a copy of such a one must hold up neither its stop nor its end.
  bool with_idle_wall(const LivePointer& live, const CopyClient& client, const FilesBody& body);
  void in_idle_wall(const ReachedFiles& files, const FilesBody& body);

  // after a restart of the engine (recovery.cc)
  void recover();
  void recover_container(const LivePointer& live);
  void finish_taking_down(const Container& record);
  void remove_orphans();
  void start_restarting_containers();

  // places and small things
  std::filesystem::path bundle(const std::string& id) const { return options.run_root / "bundles" / id.substr(0, 32); }
  std::filesystem::path container_folder(const std::string& id) const { return options.root / "containers" / id; }
  std::string cgroups_path(const Container& container) const;
  oci::Spec asked_spec(const Container& record) const;
  task::StartShimRequest shim_request(const std::string& id) const;
  void save(const LivePointer& live);
  void publish(const Container& container, const std::string& action, std::map<std::string, std::string> more = {});
};

/// Reads in the container's root; empty where only its own kernel can.
RootFileReader root_reader(const Container& container);
/// What the shim is to make the container's root from.
std::vector<task::Mount> root_mounts(storage::SnapshotStore& snapshots, const Container& container);
/// What ends a copy whose client has gone, or isn't served any more.
std::vector<task::Interrupt> interrupts_of(const CopyClient& client);
/// Removes a folder of ours where failing to is no reason to stop: says so in the log.
void discard_folder(const std::filesystem::path& folder);
/// Throws kConflict in Docker's words unless it runs.
void require_running(const Container& container);

}  // namespace bulkhead::engine
