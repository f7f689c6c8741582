// Turns an OCI spec into a Plan: everything that can be decided, checked or opened before there is a child.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "linux/cgroup.h"
#include "linux/seccomp.h"
#include "oci/runtime_spec.h"
#include "runner/plan.h"
#include "support/unique_fd.h"

namespace bulkhead::runner {

struct InitRequest {
  const oci::Spec& spec;
  std::filesystem::path bundle;
  std::vector<oci::Mount> rootfs;  // on <bundle>/rootfs; empty: root.path is there already
  std::array<UniqueFd, 3> streams;
  const linux::Cgroup& cgroup;                         // made already
  const std::optional<linux::SeccompFilter>& seccomp;  // linux.seccomp, compiled
  bool replaceable = false;                            // another command may come before it starts: Launched::replace_command
};

struct ExecRequest {
  const oci::Spec& spec;  // the container's
  const oci::Process& process;
  std::array<UniqueFd, 3> streams;
  const linux::Cgroup& cgroup;
  const std::optional<linux::SeccompFilter>& seccomp;
  int init_pidfd = -1;
};

/// kInvalidArgument and kNotSupported name the property at fault.
std::unique_ptr<Plan> plan_init(InitRequest request);
std::unique_ptr<Plan> plan_exec(ExecRequest request);

/// process.args and env (plan_process.cc); what was planned before is replaced.
void plan_command(Plan& plan, const oci::Process& process);
/// The part that both share (plan_process.cc).
void plan_process(Plan& plan, const oci::Process& process, const std::optional<linux::SeccompFilter>& seccomp,
                  std::array<UniqueFd, 3> streams);
/// linux.mounts, devices, masks (plan_mounts.cc).
void plan_mounts(Plan& plan, const oci::Spec& spec, const linux::Cgroup& cgroup);

}  // namespace bulkhead::runner
