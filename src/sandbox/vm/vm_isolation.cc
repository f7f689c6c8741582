#include "sandbox/vm/vm_isolation.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "kernels/catalogue.h"
#include "sandbox/vm/accelerator.h"
#include "sandbox/vm/vm_sandbox.h"
#include "support/error.h"

namespace bulkhead::sandbox {

void VmIsolation::probe() {
  if (::geteuid() != 0) {
    throw Error(ErrorCode::kNotSupported, "hyperv isolation needs root: run the engine as root");
  }
  vm::Machine::check(configuration_);
}

Availability VmIsolation::availability() {
  Availability found = Isolation::availability();
  vm::AcceleratorChoice choice = vm::choose_accelerator(configuration_.cache_folder);
  if (configuration_.accelerator && *configuration_.accelerator != choice.accelerator) {
    choice = {.accelerator = *configuration_.accelerator, .reason = "set by configuration"};
  }
  found.accelerator = choice.accelerator == vm::Accelerator::kKvm ? "kvm" : "tcg";
  found.accelerator_reason = choice.reason;
  return found;
}

namespace {

/// With the kernel that the spec names. SECURITY: by its name in the catalogue of the instance, never by a path: annotations
/// may be anybody's.
vm::Configuration with_chosen_kernel(vm::Configuration configuration, const oci::Spec& spec) {
  auto chosen = spec.annotations.find(vm::kKernelAnnotation);
  if (chosen == spec.annotations.end() || chosen->second == kernels::kBuiltIn) {
    return configuration;
  }
  auto entry = kernels::Catalogue(configuration.kernels, configuration.kernel).find(chosen->second);
  if (!entry) {
    throw Error(ErrorCode::kNotFound, fmt::format("there is no guest kernel '{}' any more: 'bulkhead kernel ls' lists them",
                                                  chosen->second.substr(0, 64)));
  }
  configuration.kernel = entry->kernel;
  // Templates and waiting VMs are made of the built-in kernel.
  configuration.start = vm::Start::kCold;
  return configuration;
}

}  // namespace

std::unique_ptr<Sandbox> VmIsolation::create(SandboxSpec spec) {
  const std::string id = spec.id;
  try {
    vm::Configuration configuration = with_chosen_kernel(configuration_, spec.spec);
    return std::make_unique<vm::VmSandbox>(configuration, std::move(spec));
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
