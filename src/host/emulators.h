// QEMU's user-mode emulators: programs that run those of another architecture, given to the kernel by binfmt_misc
// (Documentation/admin-guide/binfmt-misc.rst). Which there are, and how one is registered.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bulkhead::host {

inline constexpr const char* kEmulatorPackage = "qemu-user-static";

/// The header that an architecture's programs have (elf(5)).
struct Emulator {
  const char* architecture;  // as images name it: "arm64"
  const char* program;       // "qemu-aarch64-static"
  const char* host_entry;    // the name under which packages register it in the host's own binfmt_misc
  unsigned bits;
  enum class Order { kLittle, kBig } order;
  uint16_t machine;  // e_machine
};

/// nullptr where there is none for this architecture.
const Emulator* emulator_for(const std::string& architecture);
/// Where it is installed; empty where it is not.
std::filesystem::path installed_program(const Emulator& emulator);
/// Architectures whose emulator is installed.
std::vector<std::string> installed_architectures();
/// Architectures whose programs this host's own kernel hands to an emulator.
std::vector<std::string> registered_architectures();

/// What is written to binfmt_misc's `register`. Flags: F, the kernel opens the emulator now, so that it is found from within
/// any root; P, the emulator is told argv[0] (Linux 5.12); C, set-user-id programs work as they do without one.
std::string registration(const Emulator& emulator, const std::string& program);

}  // namespace bulkhead::host
