// `--isolation=process`: a wall of namespaces, cgroups, capabilities and seccomp on the host's own kernel.
//
// SECURITY: `create` and `exec` must be called from a thread that lives as long as the container may: the kernel kills a
// container's processes when the thread that launched them ends (PR_SET_PDEATHSIG), so that none outlives its shim unseen.
#pragma once

#include "sandbox/sandbox.h"

namespace bulkhead::sandbox {

class ProcessIsolation final : public Isolation {
 public:
  Capabilities capabilities() const override;
  void probe() override;
  std::unique_ptr<Sandbox> create(SandboxSpec spec) override;
  void clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& state_folder) override;
};

}  // namespace bulkhead::sandbox
