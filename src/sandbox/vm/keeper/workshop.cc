#include "sandbox/vm/keeper/workshop.h"

#include <fcntl.h>

#include <utility>

#include "sandbox/vm/agent_session.h"
#include "sandbox/vm/keeper/memory_file.h"
#include "sandbox/vm/keeper/warm_up.h"
#include "sandbox/vm/tap.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

/// The device state of a small machine is some tens of kilobytes; QEMU extends the file as it writes.
UniqueFd make_state_file() { return make_memory_file("bulkhead-devices", 0); }

}  // namespace

Workshop::Workshop(const Configuration& configuration, const linux::Cgroup& cgroup, const std::filesystem::path& folder,
                   const std::filesystem::path& blank)
    : configuration_(configuration),
      cgroup_(cgroup),
      folder_(folder),
      staging_(folder / "vm-keeper-root"),
      disks_(folder, blank) {
  make_folders(staging_, 0700);
}

Configuration Workshop::configuration_of(const KeeperRequest& request) const {
  Configuration configuration = configuration_;
  configuration.qemu = request.qemu;
  configuration.kernel = request.kernel;
  configuration.initramfs = request.initramfs;
  return configuration;
}

MachineRequest Workshop::prepare(const KeeperRequest& request, UniqueFd& network_namespace) {
  IdleTap tap = make_idle_tap();
  network_namespace = std::move(tap.network_namespace);
  return {.shape = request.shape,
          .image = disks_.image(),
          .scratch = disks_.scratch(),
          .tap = std::move(tap.file),
          .shares = {},
          .staging = staging_,
          .cgroup = &cgroup_};
}

Template Workshop::make_template(const KeeperRequest& request) {
  Configuration configuration = configuration_of(request);
  Template made{.memory = make_memory_file("bulkhead-template", request.shape.memory), .devices = make_state_file()};
  UniqueFd network_namespace;
  {
    auto machine = Machine::boot_template(configuration, prepare(request, network_namespace), made.memory);
    AgentSession session(machine->take_agent_channel());
    warm_up(session, folder_, configuration.boot_timeout);
    if (!request.container.empty()) {
      made.scratch = disks_.scratch();
      prepare_container(*machine, session, request, made.scratch, configuration.boot_timeout);
    }
    // Stopped before the session ends: an agent that loses its host ends the VM.
    machine->save(made.devices, configuration.boot_timeout);
  }
  for (const UniqueFd* file : {&made.memory, &made.devices, &made.scratch}) {
    if (*file) {
      seal(*file);
    }
  }
  if (template_key(request) != request.key) {
    throw Error(ErrorCode::kConflict, "the kernel, the initramfs or QEMU changed while a template was made of them");
  }
  return made;
}

/// The image's own code, and what it needs of its disk, is then in the guest's memory, and translated; and a container of it is
/// created on `scratch`.
void Workshop::prepare_container(Machine& machine, AgentSession& session, const KeeperRequest& request, const UniqueFd& scratch,
                                 std::chrono::milliseconds timeout) const {
  UniqueFd image = open_file(request.image.disk, O_RDONLY);
  if (identity_of(request.image.disk) != request.image.identity) {
    throw Error(ErrorCode::kConflict, "the image's disk is another one by now");
  }
  machine.change_image(image);
  rehearse(session, request.image.program, folder_, timeout);
  rehearse(session, request.image.program, folder_, timeout);
  machine.change_scratch(scratch);
  create_container(session, request.container, timeout);
}

WarmMachine Workshop::make_warm(const KeeperRequest& request, const Template& from) {
  Configuration configuration = configuration_of(request);
  UniqueFd network_namespace;
  auto machine = Machine::clone(configuration, prepare(request, network_namespace), from);
  UniqueFd agent;
  UniqueFd scratch;
  {
    AgentSession session(machine->take_agent_channel());
    // Twice: what the first finds in its way (caches that are empty, code that is patched) the second goes without.
    warm_up(session, folder_, configuration.boot_timeout);
    warm_up(session, folder_, configuration.boot_timeout);
    if (!request.container.empty()) {
      scratch = disks_.linkable_scratch();
      prepare_container(*machine, session, request, scratch, configuration.boot_timeout);
    }
    agent = session.release();
  }
  WarmMachine warm = machine->give_away();
  warm.agent = std::move(agent);
  warm.scratch = std::move(scratch);
  warm.network_namespace = std::move(network_namespace);
  return warm;
}

}  // namespace bulkhead::sandbox::vm
