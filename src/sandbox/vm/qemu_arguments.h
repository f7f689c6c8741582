// QEMU's command line. Every file it works on is a descriptor of a fixed number; only what its jail holds is named by a path.
//
// The list of devices is the same for every VM: one made from a saved template must look exactly like the template.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/vm/configuration.h"

namespace bulkhead::sandbox::vm {

// The numbers that QEMU's descriptors have.
inline constexpr int kMonitorFd = 10;  // QMP, a connected socket
inline constexpr int kAgentFd = 11;    // the agent's channel, a connected socket
inline constexpr int kImageFd = 12;    // the image's disk, read-only
inline constexpr int kScratchFd = 13;  // the container's disk
inline constexpr int kTapFd = 14;
inline constexpr int kConsoleFd = 15;  // the console log, for development
inline constexpr int kMemoryFd = 16;   // a template's memory

// Names inside the jail.
inline constexpr const char* kJailKernel = "/kernel";
inline constexpr const char* kJailInitramfs = "/initramfs";
inline constexpr const char* kJailShares = "/shares";

enum class ConsoleLog { kNone, kFile };

/// How a machine comes to its guest.
enum class Origin {
  kBoot,      // it boots a kernel, in memory of its own
  kTemplate,  // the same, in a memory file that clones will map
  kClone,     // it waits for the saved state of a template, whose memory it maps copy-on-write
};

struct MachineShape {
  Accelerator accelerator = Accelerator::kTcg;
  uint64_t memory = 0;  // bytes
  unsigned processors = 1;
  ConsoleLog console_log = ConsoleLog::kNone;
  kernels::Devices devices = kernels::Devices::kCommandLine;
};

std::vector<std::string> qemu_arguments(const std::string& qemu, const MachineShape& shape, Origin origin);

}  // namespace bulkhead::sandbox::vm
