#include "sandbox/vm/vm_isolation.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "kernels/catalogue.h"
#include "sandbox/vm/accelerator.h"
#include "sandbox/vm/adopted.h"
#include "sandbox/vm/guest_spec.h"
#include "sandbox/vm/initramfs.h"
#include "sandbox/vm/vm_sandbox.h"
#include "support/error.h"

namespace bulkhead::sandbox {

void VmIsolation::probe() {
  if (::geteuid() != 0) {
    throw Error(ErrorCode::kNotSupported, "hyperv isolation needs root: run the engine as root");
  }
  vm::Machine::check(vm::with_built_in_kernel(configuration_));
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

std::string annotation(const oci::Spec& spec, const char* name) {
  auto found = spec.annotations.find(name);
  return found == spec.annotations.end() ? "" : found->second;
}

/// With the kernel that the spec names, and all that the guest finds in its first file system. SECURITY: the kernel is found by
/// its name in the catalogue of the instance, the emulator by its architecture's, never by a path: annotations may be
/// anybody's.
vm::Configuration chosen_by(const oci::Spec& spec, vm::Configuration configuration, const std::filesystem::path& cache_folder) {
  vm::InitramfsParts parts{
      .agent = configuration.initramfs, .modules = {}, .emulated = annotation(spec, vm::kEmulationAnnotation)};
  std::string name = annotation(spec, vm::kKernelAnnotation);
  if (name.empty() || name == kernels::kBuiltIn) {
    configuration = with_built_in_kernel(std::move(configuration));
  } else {
    auto entry = kernels::Catalogue(configuration.kernels, {}, configuration.shipped_kernels).find(name);
    if (!entry) {
      throw Error(ErrorCode::kNotFound,
                  fmt::format("there is no guest kernel '{}' any more: 'bulkhead kernel ls' lists them", name.substr(0, 64)));
    }
    configuration.kernel = entry->kernel;
    configuration.boot = entry->boot;
    parts.modules = entry->boot.modules;
  }
  configuration.initramfs = vm::assemble_initramfs(parts, cache_folder);
  return configuration;
}

/// What the chosen kernel can't do is refused by name; a guest would only say that there is no such file system.
void check_shares(const oci::Spec& spec, const vm::Configuration& configuration) {
  if (configuration.boot.shares == kernels::Shares::kNone && !vm::make_guest_spec(spec).shares.empty()) {
    throw Error(
        ErrorCode::kNotSupported,
        fmt::format("guest kernel '{}' has no 9p: no bind mounts or volumes with it; choose another kernel, or add it with "
                    "the modules 9p and 9pnet_virtio",
                    annotation(spec, vm::kKernelAnnotation).substr(0, 64)));
  }
}

}  // namespace

std::unique_ptr<Sandbox> VmIsolation::create(SandboxSpec spec) {
  const std::string id = spec.id;
  try {
    vm::Configuration configuration = chosen_by(spec.spec, configuration_, spec.cache_folder);
    check_shares(spec.spec, configuration);
    return std::make_unique<vm::VmSandbox>(configuration, std::move(spec));
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::kInternal, "create container '" + id + "': " + error.what());
  }
}

void VmIsolation::clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& state_folder) {
  vm::kill_adopted(state_folder);
  linux::Cgroup cgroup = vm::cgroup_of(id, spec);
  cgroup.kill_all();
  cgroup.remove();
  std::error_code ignored;
  std::filesystem::remove(state_folder / "vm-root", ignored);
}

}  // namespace bulkhead::sandbox
