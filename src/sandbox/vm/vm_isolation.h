// `--isolation=hyperv`: a kernel of the container's own, in a VM; inside it process isolation.
#pragma once

#include "sandbox/sandbox.h"
#include "sandbox/vm/configuration.h"

namespace bulkhead::sandbox {

namespace vm {
/// The annotation of a spec that names the guest's kernel, by its name in the catalogue; absent: the built-in one.
inline constexpr const char* kKernelAnnotation = "org.bulkhead.kernel";        // a name of the catalogue
inline constexpr const char* kEmulationAnnotation = "org.bulkhead.emulation";  // the architecture of the container's programs
}  // namespace vm

class VmIsolation final : public Isolation {
 public:
  explicit VmIsolation(vm::Configuration configuration) : configuration_(std::move(configuration)) {}

  Capabilities capabilities() const override { return {.own_kernel = true}; }
  void probe() override;
  Availability availability() override;
  std::unique_ptr<Sandbox> create(SandboxSpec spec) override;
  void clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& state_folder) override;

 private:
  vm::Configuration configuration_;
};

}  // namespace bulkhead::sandbox
