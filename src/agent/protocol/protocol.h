// Names and limits that host and agent agree on.
#pragma once

#include <cstddef>

namespace bulkhead::agent {

inline constexpr const char* kService = "bulkhead.agent.Sandbox";
inline constexpr const char* kPortName = "org.bulkhead.agent";  // of the virtio-serial port
inline constexpr const char* kShareTag = "shares";              // of the 9p device
inline constexpr const char* kSharesFolder = "/run/shares";     // where the guest mounts it; one entry per bind mount
inline constexpr const char* kFilesFolder = "/run/files";
inline constexpr const char* kNetwork =
    "/run/network";  // the container's network namespace: a loopback, and eth0 where it has one
inline constexpr const char* kAgentProgram = "/agent";     // the agent itself, in the guest
inline constexpr const char* kWarmUpArgument = "warm-up";  // with it, it is a program that does what any does

// Folders of the guest's first file system, where it has them, below its root.
inline constexpr const char* kModulesFolder = "modules";    // of the kernel: kernels/module_archive.h
inline constexpr const char* kEmulatorFolder = "emulator";  // {program, register}: of another architecture's programs

/// Bytes of a process's stream in one message. Small, so that no request waits long behind it on the one port.
inline constexpr size_t kMaxChunk = 64UL << 10;
/// SECURITY: of any answer from a guest.
inline constexpr size_t kMaxAnswer = 256UL << 10;
inline constexpr size_t kMaxProcesses = 512;  // in one answer, each of whose texts is at most
inline constexpr size_t kMaxCommand = 256;    // bytes
inline constexpr size_t kMaxPath = 4096;      // bytes of a path that a guest tells
inline constexpr size_t kEntropySize = 64;    // bytes

}  // namespace bulkhead::agent
