// How a guest kernel is booted: what differs between kernels, as data of the catalogue's entry. Read by sandbox/vm.
#pragma once

#include <cstdint>
#include <filesystem>

namespace bulkhead::kernels {

/// How the kernel learns where its machine's virtio devices are.
enum class Devices {
  kCommandLine,  // virtio_mmio.device=..., which needs CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES and the driver built in
  kAcpi,         // the machine's ACPI tables describe them
};

enum class Shares { kNone, kNineP };   // can it mount folders of the host?
enum class Programs386 { kNo, kYes };  // does it run 32-bit programs (CONFIG_IA32_EMULATION)?

/// What a kernel takes of its guest's memory: one with everything built in, and a distribution's with modules.
inline constexpr uint64_t kSmallKernel = 96UL << 20;
inline constexpr uint64_t kStockKernel = 176UL << 20;

struct Boot {
  Devices devices = Devices::kCommandLine;
  Shares shares = Shares::kNineP;
  Programs386 programs_386 = Programs386::kNo;
  std::filesystem::path modules;   // a part of the initramfs (module_archive.h); empty: everything is built in
  uint64_t memory = kSmallKernel;  // bytes that a guest needs beside what its container may use
};

}  // namespace bulkhead::kernels
