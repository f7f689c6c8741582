// After a start of the engine: finds again what lives, writes down what ended meanwhile, removes what nobody owns.
#include <fmt/format.h>

#include <set>
#include <thread>

#include "engine/engine_state.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "task/protocol.h"

namespace bulkhead::engine {
namespace {

/// The shim that serves a bundle. Throws where none does.
std::shared_ptr<task::Client> shim_of(const std::filesystem::path& bundle) {
  std::string address = read_file(bundle / task::kAddressFile);
  constexpr std::string_view kScheme = "unix://";
  return std::make_shared<task::Client>(address.starts_with(kScheme) ? address.substr(kScheme.size()) : address);
}

/// Whether nobody wants any more what an ended container wrote.
Leftovers leftovers_of(const Container& record) {
  bool removed = record.status == Status::kRemoving || record.status == Status::kDead;
  return removed || (record.host_config.auto_remove && record.finished_at) ? Leftovers::kThrownAway : Leftovers::kKept;
}

bool was_alive(Status status) { return status == Status::kRunning || status == Status::kPaused || status == Status::kStarting; }

}  // namespace

void Engine::State::recover() {
  for (Container& record : records.load_all()) {
    auto live = std::make_shared<LiveContainer>();
    live->record = std::move(record);
    by_id[live->record.id] = live;
    id_by_name[live->record.name] = live->record.id;
    admission.adopt(live->record);
  }
  for (const LivePointer& live : all()) {
    try {
      recover_container(live);
    } catch (const Error& error) {
      log::error("find container {} again: {}", live->copy().id, error.message());
    }
  }
  remove_orphans();
}

void Engine::State::recover_container(const LivePointer& live) {
  Container record = live->copy();
  std::error_code ignored;
  if (!was_alive(record.status) && std::filesystem::exists(bundle(record.id), ignored)) {
    finish_taking_down(record);
  }
  if (record.status == Status::kRemoving || record.status == Status::kDead) {
    remove_locked(live);
    return;
  }
  if (!was_alive(record.status)) {
    if (record.status == Status::kRestarting) {
      live->record.status = Status::kExited;
      records.update_state(live->record);
    }
    if (record.host_config.auto_remove && record.finished_at) {
      remove_locked(live);
    }
    return;
  }
  try {
    auto client = shim_of(bundle(record.id));
    task::State state = client->state(record.id, "");
    if (state.status == task::Status::kCreated || state.status == task::Status::kUnknown) {
      throw Error(ErrorCode::kUnavailable, "its start was never finished");
    }
    std::lock_guard lock(live->mutex);
    live->client = client;
    live->record.pid = state.pid;
    live->record.endpoint = networks.endpoint(record.id);
    if (state.status != task::Status::kStopped) {
      live->record.status = state.status == task::Status::kPaused ? Status::kPaused : Status::kRunning;
    } else {
      live->record.status = Status::kRunning;  // the thread that watches it writes its end down
    }
    live->record.started_at = live->record.started_at.value_or(now());
    live->restart_wanted = !live->record.stopped_by_user;
  } catch (const Error& error) {
    task::ExitDetails details;
    details.error = fmt::format("the container was lost while the engine was away: {}", error.message());
    take_wall_down(record, nullptr, Leftovers::kKept);
    live->restart_wanted = !record.stopped_by_user;
    tell_end(live, 255, now(), details);
    if (record.host_config.auto_remove) {
      remove_locked(live);
    }
    return;
  }
  records.update_state(live->copy());
  watch(live);
}

/// The engine ended between the container's end and that of its wall. Where its shim lives it is asked, as it would have been:
/// of what a guest wrote only the guest can write the rest to its disk.
void Engine::State::finish_taking_down(const Container& record) {
  std::shared_ptr<task::Client> client;
  try {
    client = shim_of(bundle(record.id));
  } catch (const Error& error) {
    log::debug("shim of container {}: {}", record.id, error.message());
  }
  try_to_take_wall_down(record, client, leftovers_of(record));
}

void Engine::State::remove_orphans() {
  std::set<std::string> bundles;
  std::set<std::string> ids;
  for (const LivePointer& live : all()) {
    Container record = live->copy();
    ids.insert(record.id);
    if (record.is_running()) {
      bundles.insert(bundle(record.id).filename());
    }
  }
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(options.run_root / "bundles", ignored)) {
    if (!bundles.contains(entry.path().filename())) {
      log::info("removing what is left of container {}", entry.path().filename().native());
      task::StartShimRequest request = shim_request(entry.path().filename());
      try {
        task::delete_shim(request);
      } catch (const Error& error) {
        log::warn("clean up '{}': {}", entry.path().native(), error.message());
      }
      discard_folder(entry.path());
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(options.root / "containers", ignored)) {
    if (!ids.contains(entry.path().filename())) {
      discard_folder(entry.path());
    }
  }
  for (const std::string& id : snapshots.list()) {
    if (!ids.contains(id)) {
      snapshots.remove(id);
    }
  }
  networks.recover([&](const std::string& id) {
    auto found = by_id.find(id);
    return found != by_id.end() && found->second->copy().is_running();
  });
}

void Engine::State::start_restarting_containers() {
  for (const LivePointer& live : all()) {
    Container record = live->copy();
    const std::string& policy = record.host_config.restart_policy.name;
    bool lost = record.status == Status::kRestarting;
    bool always = policy == "always" || (policy == "unless-stopped" && !record.stopped_by_user);
    if (record.is_running() || (!lost && !(always && record.started_at))) {
      continue;
    }
    std::thread([this, live] {
      try {
        start(live);
      } catch (const Error& error) {
        log::warn("start container {} by its restart policy: {}", live->copy().id, error.message());
      }
    }).detach();
  }
}

}  // namespace bulkhead::engine
