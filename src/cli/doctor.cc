// `bulkhead doctor`: what isolation needs of this host. Asks no engine: where one doesn't start, this is what says why.
#include "doctor/doctor.h"

#include <fmt/format.h>

#include "cli/options.h"
#include "cli/verbs.h"
#include "doctor/report.h"

namespace bulkhead::cli {
namespace {

/// Where the shim looks: beside itself, which is beside this executable.
doctor::Places usual_places() {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  return {.qemu = "/usr/bin/qemu-system-x86_64",
          .guest_kernel = folder / "bulkhead-vmlinux",
          .emulated_guest_kernel = folder / "bulkhead-vmlinux-emulated",
          .guest_initramfs = folder / "bulkhead-initramfs.cpio"};
}

}  // namespace

int run_doctor(Api& /*api*/, Words words) {
  bool as_json = false;
  Options options("doctor", "[OPTIONS]",
                  "Checks what isolation needs of this host; exit code 1 where process isolation does not work.");
  options.flag("--json", as_json, "Print JSON");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  doctor::Checks checks = doctor::examine(usual_places());
  fmt::print("{}", as_json ? doctor::report_json(checks) : doctor::report_text(checks));
  return doctor::works(checks, doctor::Need::kProcess) ? 0 : 1;
}

}  // namespace bulkhead::cli
