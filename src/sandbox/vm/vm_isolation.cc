#include "sandbox/vm/vm_isolation.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/vm/vm_sandbox.h"
#include "support/error.h"

namespace bulkhead::sandbox {

void VmIsolation::probe() {
  if (::geteuid() != 0) {
    throw Error(ErrorCode::kNotSupported, "hyperv isolation needs root: run the engine as root");
  }
  vm::Machine::check(configuration_);
}

std::unique_ptr<Sandbox> VmIsolation::create(SandboxSpec spec) {
  const std::string id = spec.id;
  try {
    return std::make_unique<vm::VmSandbox>(configuration_, std::move(spec));
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::kInternal, "create container '" + id + "': " + error.what());
  }
}

void VmIsolation::clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& state_folder) {
  linux::Cgroup cgroup = vm::cgroup_of(id, spec);
  cgroup.kill_all();
  cgroup.remove();
  std::error_code ignored;
  std::filesystem::remove(state_folder / "vm-root", ignored);
}

}  // namespace bulkhead::sandbox
