// What the VMs of one host are made with. Pure data, filled by main().
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace bulkhead::sandbox::vm {

enum class Accelerator { kKvm, kTcg };

struct Configuration {
  std::filesystem::path qemu = "/usr/bin/qemu-system-x86_64";
  std::filesystem::path kernel;            // vmlinux of guest/build-kernel.sh
  std::filesystem::path initramfs;         // of guest/build-initramfs.sh
  std::optional<Accelerator> accelerator;  // absent: chosen by a probe
  uint64_t default_memory = 256UL << 20;   // bytes, of a VM whose container has no memory limit
  unsigned processors = 1;
  std::chrono::milliseconds boot_timeout = std::chrono::seconds(60);
  std::chrono::milliseconds answer_timeout = std::chrono::seconds(30);  // of the agent; then the VM counts as lost
  std::filesystem::path console_log;  // where set, the guest kernel's messages go there: for development
};

}  // namespace bulkhead::sandbox::vm
