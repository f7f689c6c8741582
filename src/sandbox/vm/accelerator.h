// Which accelerator QEMU gets, and what a guest under emulation must be told about its clock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sandbox/vm/configuration.h"

namespace bulkhead::sandbox::vm {

struct AcceleratorChoice {
  Accelerator accelerator = Accelerator::kTcg;
  std::string reason;  // in words, for `info` and `doctor`
};

/// kKvm where the CPU has hardware virtualization and a guest of a few instructions really ran under KVM in this boot (the
/// answer is kept in `cache_folder`); else emulation. May block for a second, once per boot.
AcceleratorChoice choose_accelerator(const std::filesystem::path& cache_folder);
/// The rate of this CPU's time-stamp counter in kHz, measured once per process (takes about 20 ms). Under TCG the guest reads
/// the host's counter: told its rate, the guest's kernel needn't measure it.
uint32_t time_stamp_rate();

}  // namespace bulkhead::sandbox::vm
