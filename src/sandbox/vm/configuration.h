// What the VMs of one instance are made with. Data, filled by main() and a file that the engine writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "kernels/boot.h"

namespace bulkhead::sandbox::vm {

enum class Accelerator { kKvm, kTcg };

/// Ways to a running VM, the quickest first. Each is the fallback of the one before.
enum class Start {
  kPool,   // take one that runs already and waits (see keeper/)
  kClone,  // map the memory of a template copy-on-write
  kCold,   // boot a kernel
};

struct Configuration {
  std::filesystem::path qemu = "/usr/bin/qemu-system-x86_64";
  std::filesystem::path kernel;            // vmlinux of guest/build-kernel.sh
  std::filesystem::path emulated_kernel;   // the same, built for emulation; empty: `kernel` serves there too
  std::filesystem::path initramfs;         // of guest/build-initramfs.sh
  std::filesystem::path kernels;           // folder of other kernels (kernels/catalogue.h), or empty
  std::filesystem::path shipped_kernels;   // likewise, of those that came with Bulkhead
  kernels::Boot boot;                      // how `kernel` is booted
  std::optional<Accelerator> accelerator;  // absent: chosen by a probe
  uint64_t default_memory = 256UL << 20;   // bytes, of a VM whose container has no memory limit
  unsigned processors = 1;
  Start start = Start::kPool;  // the quickest way that may be tried
  std::chrono::milliseconds boot_timeout = std::chrono::seconds(60);
  std::chrono::milliseconds answer_timeout = std::chrono::seconds(30);  // of the agent; then the VM counts as lost
  std::chrono::milliseconds kill_timeout = std::chrono::seconds(5);     // the same, of SIGKILL for the container
  std::filesystem::path cache_folder;  // of the instance: what was found out once for all VMs; empty: found out each time
  std::filesystem::path console_log;   // where set, the guest kernel's messages go there: for development
};

/// The file in an instance's cache folder that says otherwise than the defaults: {"qemu", "kernel", "kernels", "initramfs",
/// "accelerator" ("kvm", "tcg", "auto"), "start" ("pool", "clone", "cold"), "console_log"}, each optional.
inline constexpr const char* kConfigurationFile = "vm.json";

/// What a VM of this configuration runs on: what was set, or chosen by a probe. May block for a second, once per boot.
Accelerator accelerator_of(const Configuration& configuration);
/// With the built-in kernel's file for that accelerator as `kernel`.
Configuration with_built_in_kernel(Configuration configuration);

/// `defaults` with what the file says; the defaults where there is no such file. kInvalidArgument naming what it can't be.
Configuration read_configuration(const std::filesystem::path& file, Configuration defaults);

}  // namespace bulkhead::sandbox::vm
