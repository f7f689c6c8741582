// A wall around a container that doesn't run, for as long as somebody works on its files: all of it is made as for a start, in
// the mode that the container has, but for what only processes need; the first process waits to be started, and never is. So
// nobody but the container's own kind of wall ever mounts its files: of a VM's disks the host reads no byte.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <exception>

#include "engine/engine_state.h"
#include "engine/name_files.h"
#include "engine/origins.h"
#include "engine/spec_builder.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::engine {
namespace {

// Start and removal wait meanwhile.
constexpr std::chrono::seconds kIdleClient{30};

Error marked_for_removal() { return {ErrorCode::kConflict, "container is marked for removal: its files can't be copied"}; }

/// The same files, and no process that could need anything: no user, terminal, devices, or namespaces of others.
Container without_processes(Container record) {
  record.path = "/";  // never executed
  record.args.clear();
  record.config.user.clear();
  record.config.working_dir.clear();
  record.config.tty = false;
  record.config.open_stdin = false;
  HostConfig& host = record.host_config;
  host.init.reset();
  host.privileged = false;
  host.security_opt.clear();
  host.cap_add.clear();
  host.cap_drop.clear();
  host.group_add.clear();
  host.devices.clear();
  host.device_cgroup_rules.clear();
  host.sysctls.clear();
  host.ulimits.clear();
  for (std::string* mode : {&host.ipc_mode, &host.pid_mode, &host.uts_mode, &host.cgroupns_mode}) {
    mode->clear();
  }
  // What is written to a tmpfs would be gone again when this wall is.
  host.tmpfs.clear();
  std::erase_if(host.mounts, [](const MountPoint& mount) { return mount.type == "tmpfs"; });
  return record;
}

}  // namespace

void LiveContainer::break_copy_off() {
  std::lock_guard lock(mutex);
  if (copy_break != nullptr) {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(copy_break->get(), &one, sizeof(one));
  }
}

bool Engine::State::with_idle_wall(const LivePointer& live, const CopyClient& client, const FilesBody& body) {
  UniqueFd broken_off(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!broken_off) {
    throw system_error("make an eventfd");
  }
  Container record;
  {
    std::lock_guard lock(live->mutex);
    record = live->record;
    if (live->removed || record.status == Status::kRemoving || record.status == Status::kDead) {
      throw marked_for_removal();
    }
    if (record.is_running()) {  // since it was looked at
      return false;
    }
    live->copy_break = &broken_off;
  }
  auto end = ScopeGuard([&] {
    client.hurry(std::nullopt, -1);
    std::lock_guard lock(live->mutex);
    live->copy_break = nullptr;
  });
  client.hurry(kIdleClient, broken_off.get());
  ReachedFiles files{.record = record, .bundle = bundle(record.id), .interrupts = interrupts_of(client)};
  files.interrupts.push_back({.descriptor = broken_off.get(), .events = POLLIN, .error = marked_for_removal()});
  try {
    in_idle_wall(files, body);
  } catch (const Error& error) {
    uint64_t count = 0;
    if (::read(broken_off.get(), &count, sizeof(count)) > 0) {
      throw marked_for_removal();  // whatever was under way then
    }
    throw;
  }
  return true;
}

void Engine::State::in_idle_wall(const ReachedFiles& files, const FilesBody& body) {
  const Container& record = files.record;
  const std::filesystem::path& folder = files.bundle;
  make_folders(folder / "rootfs", 0711);
  auto remove_bundle = ScopeGuard([&] { discard_folder(folder); });
  task::StartShimRequest request = shim_request(record.id);
  auto remove_shim = ScopeGuard([&] {
    try {
      task::delete_shim(request);
    } catch (const Error& error) {
      log::warn("after a copy to or from container {}: {}", record.id, error.message());
    }
  });
  Container idle = without_processes(record);
  write_name_files(container_folder(record.id), idle);
  oci::Spec spec = build_spec({.container = idle,
                               .network_namespace = "",
                               .cgroups_path = cgroups_path(record),
                               .init_binary = {},
                               .read_file = root_reader(record)});
  require_decided_origins(record, spec);
  spec.linux_.namespaces.push_back({.type = "network"});
  replace_file(folder / "config.json", oci::to_json(spec), 0600, Durability::kUnsynced);
  task::Client client(task::start_shim(request));
  client.create({.id = record.id, .bundle = folder, .rootfs = root_mounts(snapshots, record), .stdio = {}});
  std::exception_ptr failure;
  try {
    body(files);
  } catch (...) {
    failure = std::current_exception();
  }
  // In good order in any case: what was unpacked before an error stays.
  try {
    client.remove(record.id, "");
    client.shutdown(record.id);
    remove_shim.dismiss();
  } catch (const Error& error) {
    if (!failure) {
      throw;
    }
    log::debug("shim of a copy to or from container {}: {}", record.id, error.message());
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace bulkhead::engine
