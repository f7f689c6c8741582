// Which accelerator QEMU gets, and what a guest under emulation must be told about its clock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/vm/configuration.h"

namespace bulkhead::sandbox::vm {

struct AcceleratorChoice {
  Accelerator accelerator = Accelerator::kTcg;
  std::string reason;  // in words, for `info` and `doctor`
};

/// Does this CPU's flags line (/proc/cpuinfo) have hardware virtualization?
bool has_virtualization_flag(std::string_view cpuinfo);
/// What the CPU and /dev/kvm allow. kKvm is a candidate only: it counts once a guest really ran under it.
AcceleratorChoice choose_accelerator();
/// The rate of this CPU's time-stamp counter in kHz, measured once per process (takes about 20 ms). Under TCG the guest reads
/// the host's counter: told its rate, the guest's kernel needn't measure it.
uint32_t time_stamp_rate();

}  // namespace bulkhead::sandbox::vm
