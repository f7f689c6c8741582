// From a created (or ended) container to a running one: network, files of names, bundle, shim, process.
#include <fmt/format.h>

#include <csignal>
#include <future>

#include "engine/engine_state.h"
#include "engine/log_rotation.h"
#include "engine/name_files.h"
#include "engine/origins.h"
#include "engine/spec_builder.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::engine {
namespace {

/// Percent-encodes what a path in a stream URI can't hold as it is.
std::string uri_path(const std::string& path) {
  std::string text;
  for (char c : path) {
    text += c == '%' ? "%25" : c == '?' ? "%3F" : std::string(1, c);
  }
  return text;
}

task::Stdio stdio_of(const Container& container) {
  task::Stdio stdio;
  stdio.terminal = container.config.tty;
  stdio.in = container.config.open_stdin ? "attach:" : "";
  if (container.host_config.log_driver == "none") {
    stdio.out = "attach:";
  } else {
    stdio.out =
        fmt::format("json-file://{}{}", uri_path(container.log_path), log_rotation(container.host_config.log_options).query());
  }
  // The json-file log takes standard error with it.
  stdio.err = container.config.tty || stdio.out != "attach:" ? "" : stdio.out;
  return stdio;
}

int exit_code_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kCommandNotFound: return 127;
    case ErrorCode::kCannotExecute: return 126;
    default: return 128;
  }
}

void hand_out_streams(LiveContainer& live, const std::filesystem::path& bundle, bool stdin_once) {
  std::vector<std::shared_ptr<PendingAttachment>> pending;
  {
    std::lock_guard lock(live.mutex);
    pending.swap(live.attachments);
  }
  for (const auto& attachment : pending) {
    attachment->resolve(task::attach({.bundle = bundle,
                                      .exec_id = "",
                                      .in = attachment->options().in,
                                      .out = attachment->options().out,
                                      .err = attachment->options().err,
                                      .stdin_at_end = stdin_once ? task::StdinAtEnd::kClose : task::StdinAtEnd::kKeep}));
  }
}

}  // namespace

std::vector<task::Mount> root_mounts(storage::SnapshotStore& snapshots, const Container& container) {
  using Lifetime = storage::SnapshotStore::Lifetime;
  std::vector<task::Mount> mounts;
  // What `--rm` throws away at the end need not be written to the disk first.
  Lifetime lifetime = container.host_config.auto_remove ? Lifetime::kThrowaway : Lifetime::kKept;
  for (const storage::MountInstruction& mount : snapshots.mounts(container.id, lifetime)) {
    mounts.push_back({.type = mount.type, .source = mount.source, .target = "", .options = mount.options});
  }
  return mounts;
}

task::StartShimRequest Engine::State::shim_request(const std::string& id) const {
  return {.binary = options.shim,
          .sealed = options.sealed_shim,
          .bundle = bundle(id),
          .cache_folder = options.run_root / "cache",
          .id = id,
          .name_space = instance,
          .log = bundle(id) / "shim.log"};
}

std::string Engine::State::cgroups_path(const Container& container) const {
  const std::string& parent = container.host_config.cgroup_parent.empty() ? options.cgroup_parent + "-" + instance
                                                                          : container.host_config.cgroup_parent;
  return fmt::format("{}{}/{}", parent[0] == '/' ? "" : "/", parent, container.id);
}

void Engine::State::start(const LivePointer& live) {
  live->decide(Leftovers::kKept);
  std::lock_guard operation(live->operation);
  start_locked(live);
}

void Engine::State::forget_execs(LiveContainer& live) {
  std::scoped_lock lock(mutex, live.mutex);
  for (const auto& [exec_id, exec] : live.execs) {
    by_exec.erase(exec_id);
  }
  live.execs.clear();
}

void Engine::State::start_locked(const LivePointer& live) {
  {
    std::lock_guard lock(live->mutex);
    Container& record = live->record;
    if (live->removed || live->forced_removals > 0 || record.status == Status::kRemoving || record.status == Status::kDead) {
      throw Error(ErrorCode::kConflict, "container is marked for removal and cannot be started");
    }
    if (record.status == Status::kPaused) {
      throw Error(ErrorCode::kConflict, "cannot start a paused container, try unpause instead");
    }
    if (record.status == Status::kRunning) {
      throw Error(ErrorCode::kAlreadyDone, "the container is running already");
    }
    record.status_before_start = record.status;
    record.status = Status::kStarting;
    record.error.clear();
    record.out_of_memory = false;
    record.stopped_by_user = false;
    live->restart_wanted = true;
    live->leftovers = Leftovers::kUndecided;
  }
  forget_execs(*live);  // of the run before
  Container record = live->copy();
  records.update_state(record);
  try {
    launch(live, record);
  } catch (const Error& error) {
    start_failed(live, error);
    throw;
  }
  {
    std::lock_guard lock(live->mutex);
    record.exec_ids = live->record.exec_ids;
    record.status = Status::kRunning;
    record.exit_code = 0;
    record.started_at = now();
    live->record = record;
  }
  records.update_state(record);
  live->changed.notify_all();
  publish(record, "start");
  watch(live);
}

void Engine::State::launch(const LivePointer& live, Container& record) {
  admission.check_start(record);
  std::filesystem::path folder = bundle(record.id);
  make_folders(folder / "rootfs", 0711);
  auto remove_bundle = ScopeGuard([&] { discard_folder(folder); });
  // The shim's start and the making of the network don't depend on each other.
  task::StartShimRequest request = shim_request(record.id);
  auto shim = std::async(std::launch::async, [&request] { return task::start_shim(request); });
  auto remove_shim = ScopeGuard([&] {
    try {
      if (shim.valid()) {
        shim.wait();
      }
      task::delete_shim(request);
    } catch (const Error& error) {
      log::warn("after the failed start of container {}: {}", record.id, error.message());
    }
  });
  record.endpoint = networks.connect(record.id, record.host_config.network_mode);
  auto release_network = ScopeGuard([&] { networks.release(record.id); });
  write_name_files(container_folder(record.id), record);
  oci::Spec spec = build_spec({.container = record,
                               .network_namespace = record.endpoint->namespace_path,
                               .cgroups_path = cgroups_path(record),
                               .init_binary = options.init_binary,
                               .read_file = root_reader(record)});
  require_decided_origins(record, spec);
  replace_file(folder / "config.json", oci::to_json(spec), 0600, Durability::kUnsynced);

  auto client = std::make_shared<task::Client>(shim.get());
  record.pid =
      client->create({.id = record.id, .bundle = folder, .rootfs = root_mounts(snapshots, record), .stdio = stdio_of(record)});
  hand_out_streams(*live, folder, record.config.stdin_once);
  client->start(record.id, "");
  {
    std::lock_guard lock(live->mutex);
    live->client = std::move(client);
  }
  release_network.dismiss();
  remove_shim.dismiss();
  remove_bundle.dismiss();
}

void Engine::State::start_failed(const LivePointer& live, const Error& error) {
  std::vector<std::shared_ptr<PendingAttachment>> pending;
  bool auto_remove = false;
  {
    std::lock_guard lock(live->mutex);
    live->record.status = live->record.started_at ? Status::kExited : Status::kCreated;
    live->record.exit_code = exit_code_of(error);
    live->record.error = error.message();
    live->record.pid = 0;
    live->record.endpoint.reset();
    live->client.reset();
    live->restart_wanted = false;
    ++live->ends;
    pending.swap(live->attachments);
    auto_remove = live->record.host_config.auto_remove;
  }
  for (const auto& attachment : pending) {
    attachment->resolve(UniqueFd());
  }
  records.update_state(live->copy());
  live->changed.notify_all();
  if (auto_remove) {
    try {
      remove_locked(live);
    } catch (const Error& removal) {
      log::error("remove container {} after its failed start: {}", live->copy().id, removal.message());
    }
  }
}

void Engine::start(const std::string& reference) { state_->start(state_->find(reference)); }

}  // namespace bulkhead::engine
