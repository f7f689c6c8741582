#include "host/emulators.h"

#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::host {
namespace {

using Order = Emulator::Order;

constexpr std::array kEmulators = {Emulator{"arm64", "qemu-aarch64-static", "qemu-aarch64", 64, Order::kLittle, EM_AARCH64},
                                   Emulator{"arm", "qemu-arm-static", "qemu-arm", 32, Order::kLittle, EM_ARM},
                                   Emulator{"riscv64", "qemu-riscv64-static", "qemu-riscv64", 64, Order::kLittle, EM_RISCV},
                                   Emulator{"ppc64le", "qemu-ppc64le-static", "qemu-ppc64le", 64, Order::kLittle, EM_PPC64},
                                   Emulator{"s390x", "qemu-s390x-static", "qemu-s390x", 64, Order::kBig, EM_S390},
                                   Emulator{"386", "qemu-i386-static", "qemu-i386", 32, Order::kLittle, EM_386},
                                   Emulator{"amd64", "qemu-x86_64-static", "qemu-x86_64", 64, Order::kLittle, EM_X86_64}};

constexpr size_t kHeader = 20;  // bytes of the ELF header that tell, up to e_machine

void append_escaped(std::string& text, std::string_view bytes) {
  for (unsigned char byte : bytes) {
    text += fmt::format("\\x{:02x}", byte);
  }
}

/// Two bytes in the architecture's order.
std::string half(uint16_t number, Order order) {
  std::string bytes{static_cast<char>(number & 0xff), static_cast<char>(number >> 8)};
  if (order == Order::kBig) {
    std::reverse(bytes.begin(), bytes.end());
  }
  return bytes;
}

}  // namespace

const Emulator* emulator_for(const std::string& architecture) {
  const auto* found = std::find_if(kEmulators.begin(), kEmulators.end(),
                                   [&](const Emulator& each) { return each.architecture == architecture; });
  return found == kEmulators.end() ? nullptr : found;
}

std::filesystem::path installed_program(const Emulator& emulator) {
  std::filesystem::path program = std::filesystem::path("/usr/bin") / emulator.program;
  return ::access(program.c_str(), X_OK) == 0 ? program : std::filesystem::path();
}

std::vector<std::string> installed_architectures() {
  std::vector<std::string> found;
  for (const Emulator& emulator : kEmulators) {
    if (!installed_program(emulator).empty()) {
      found.emplace_back(emulator.architecture);
    }
  }
  return found;
}

std::vector<std::string> registered_architectures() {
  std::vector<std::string> found;
  for (const Emulator& emulator : kEmulators) {
    try {
      auto entry = std::filesystem::path("/proc/sys/fs/binfmt_misc") / emulator.host_entry;
      if (read_file(entry, 4096).starts_with("enabled")) {
        found.emplace_back(emulator.architecture);
      }
    } catch (const Error&) {  // not registered
    }
  }
  return found;
}

std::string registration(const Emulator& emulator, const std::string& program) {
  // Any operating system's ABI, executable or position-independent (ET_EXEC is 2, ET_DYN 3: the last bit doesn't count).
  std::string magic = ELFMAG;
  magic += static_cast<char>(emulator.bits == 64 ? ELFCLASS64 : ELFCLASS32);
  magic += static_cast<char>(emulator.order == Order::kLittle ? ELFDATA2LSB : ELFDATA2MSB);
  magic += static_cast<char>(EV_CURRENT);
  magic.resize(EI_NIDENT, '\0');
  std::string mask(kHeader, '\xff');
  mask[EI_OSABI] = '\0';
  mask.replace(EI_NIDENT, 2, half(0xfffe, emulator.order));
  magic += half(ET_EXEC, emulator.order) + half(emulator.machine, emulator.order);
  std::string line = fmt::format(":{}:M::", emulator.host_entry);
  append_escaped(line, magic);
  line += ':';
  append_escaped(line, mask);
  return line + fmt::format(":{}:PCF", program);
}

}  // namespace bulkhead::host
