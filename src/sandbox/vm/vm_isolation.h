// `--isolation=hyperv`: a kernel of the container's own, in a VM; inside it process isolation.
#pragma once

#include "sandbox/sandbox.h"
#include "sandbox/vm/configuration.h"

namespace bulkhead::sandbox {

class VmIsolation final : public Isolation {
 public:
  explicit VmIsolation(vm::Configuration configuration) : configuration_(std::move(configuration)) {}

  Capabilities capabilities() const override { return {}; }
  void probe() override;
  std::unique_ptr<Sandbox> create(SandboxSpec spec) override;
  void clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& state_folder) override;

 private:
  vm::Configuration configuration_;
};

}  // namespace bulkhead::sandbox
