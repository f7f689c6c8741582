// A wall around a container that doesn't run, for as long as somebody works on its files: all of it is made as for a start, in
// the mode that the container has, but for what only processes need; the first process waits to be started, and never is. So
// nobody but the container's own kind of wall ever mounts its files: of a VM's disks the host reads no byte.
#include <exception>

#include "engine/engine_state.h"
#include "engine/name_files.h"
#include "engine/spec_builder.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::engine {
namespace {

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

bool Engine::State::with_idle_wall(const LivePointer& live,
                                   const std::function<void(const Container&, const std::filesystem::path&)>& body) {
  Container record;
  bool removed = false;
  {
    std::lock_guard lock(live->mutex);
    record = live->record;
    removed = live->removed;
  }
  if (removed || record.status == Status::kRemoving || record.status == Status::kDead) {
    throw Error(ErrorCode::kConflict, "container is marked for removal: its files can't be copied");
  }
  if (record.is_running()) {  // since it was looked at
    return false;
  }
  std::filesystem::path folder = bundle(record.id);
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
  spec.linux_.namespaces.push_back({.type = "network"});
  replace_file(folder / "config.json", oci::to_json(spec), 0600, Durability::kUnsynced);
  task::Client client(task::start_shim(request));
  client.create({.id = record.id, .bundle = folder, .rootfs = root_mounts(snapshots, record), .stdio = {}});
  std::exception_ptr failure;
  try {
    body(record, folder);
  } catch (...) {
    failure = std::current_exception();
  }
  // In good order in any case: what was unpacked before an error stays.
  client.remove(record.id, "");
  client.shutdown(record.id);
  remove_shim.dismiss();
  if (failure) {
    std::rethrow_exception(failure);
  }
  return true;
}

}  // namespace bulkhead::engine
