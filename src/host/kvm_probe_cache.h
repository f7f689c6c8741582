// The probe's answer, asked for once per boot and not once per VM: kept in a small file that root alone can write.
#pragma once

#include <filesystem>

#include "host/kvm_probe.h"

namespace bulkhead::host {

/// As `probe_kvm` (always, where there is no folder), or what it found earlier in this boot with the same device. Answers that
/// may change by themselves (no device, no permission, no time) are not kept. A file that is damaged or can't be written only
/// costs another probe. Several processes may ask at once.
KvmProbe probe_kvm_once(const std::filesystem::path& cache_folder, const std::filesystem::path& device = "/dev/kvm");

}  // namespace bulkhead::host
