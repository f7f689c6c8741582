// cgroup v2 has no devices controller: which devices a container may open is decided by a BPF program on its cgroup
// (BPF_PROG_TYPE_CGROUP_DEVICE, Linux 4.15).
#pragma once

#include <linux/bpf.h>

#include <filesystem>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::linux {

/// The program: the last rule that matches an access decides; where none does, it is denied.
std::vector<bpf_insn> compile_device_filter(const std::vector<oci::DeviceRule>& rules);

/// Replaces the programs of `cgroup_folder` by one for `rules`.
void attach_device_filter(const std::filesystem::path& cgroup_folder, const std::vector<oci::DeviceRule>& rules);

}  // namespace bulkhead::linux
