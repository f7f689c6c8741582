// What VMs are made of: QEMU, the tools that make their disks, the guest's kernel and first file system.
#include <fmt/format.h>

#include <algorithm>

#include "doctor/doctor.h"
#include "doctor/trial.h"

namespace bulkhead::doctor {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

struct Program {
  const char* subject;
  std::vector<std::string> paths;
  const char* harmless_option;  // that it prints something about itself for
  const char* package;
};

/// Run, since one that is there and does not start is no use.
Check check_program(const Program& wanted) {
  Check check{.need = Need::kHyperv, .subject = wanted.subject, .found = {}, .remedy = {}};
  std::string program = find_program(wanted.paths);
  if (program.empty()) {
    check.health = Health::kMissing;
    check.found = "not installed";
    check.remedy = fmt::format("apt install {}", wanted.package);
    return check;
  }
  ProgramResult result = run_program({program, wanted.harmless_option});
  std::string line = first_line(result.output);
  bool version = line.find_first_of("0123456789") != std::string::npos;
  check.found = version ? fmt::format("{} ({})", line, program) : program;
  if (result.code != 0) {
    check.health = Health::kMissing;
    check.found = fmt::format("{} does not run: {}", program, line);
    check.remedy = fmt::format("apt install --reinstall {}", wanted.package);
  }
  return check;
}

Check check_file(const char* subject, const std::filesystem::path& file, const char* remedy) {
  std::error_code error;
  bool there = !file.empty() && std::filesystem::is_regular_file(file, error);
  return {.need = Need::kHyperv,
          .health = there ? Health::kOk : Health::kMissing,
          .subject = subject,
          .found = there          ? file.native()
                   : file.empty() ? "none was found"
                                  : fmt::format("there is no '{}'", file.native()),
          .remedy = there ? "" : remedy};
}

}  // namespace

Checks guest_checks(const Places& places) {
  Program qemu{"QEMU", {places.qemu.native()}, "--version", "qemu-system-x86"};
  Program erofs{"mkfs.erofs", {"/usr/bin/mkfs.erofs", "/usr/sbin/mkfs.erofs", "/sbin/mkfs.erofs"}, "--help", "erofs-utils"};
  Program ext4{"mkfs.ext4", {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"}, "-V", "e2fsprogs"};
  return {check_program(qemu),
          check_program(erofs),
          check_program(ext4),
          check_file("guest kernel", places.guest_kernel, "guest/build-kernel.sh"),
          check_file("guest kernel, emulated", places.emulated_guest_kernel, "guest/build-kernel.sh"),
          check_file("guest initramfs", places.guest_initramfs, "./dev build")};
}

}  // namespace bulkhead::doctor
