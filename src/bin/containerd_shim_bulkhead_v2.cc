// The shim: one process beside each container. Names the isolations that it can make.
#include <sys/prctl.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

#include "linux/sealed_executable.h"
#include "sandbox/process/process_isolation.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/keeper/keeper.h"
#include "sandbox/vm/vm_isolation.h"
#include "shim/commands.h"
#include "support/error.h"

namespace {
using bulkhead::sandbox::vm::Configuration;
using bulkhead::sandbox::vm::kConfigurationFile;
using bulkhead::sandbox::vm::read_configuration;

/// The guests' kernels and first file system are installed beside this executable. By the name that it was called with: what
/// runs may be a sealed copy without a place.
Configuration guest_files(const char* called) {
  Configuration configuration;
  std::filesystem::path folder = std::filesystem::path(called).parent_path();
  folder = folder.empty() ? "/usr/lib/bulkhead" : std::filesystem::absolute(folder);
  configuration.kernel = folder / "bulkhead-vmlinux";
  configuration.emulated_kernel = folder / "bulkhead-vmlinux-emulated";
  configuration.initramfs = folder / "bulkhead-initramfs.cpio";
  configuration.shipped_kernels = folder / "bulkhead-kernels";
  return configuration;
}

/// -cache-folder FOLDER vm-keeper OPTION...: prepares VMs for the shims of one engine (sandbox/vm/keeper).
int keep_machines(int argc, char** argv) {
  try {
    Configuration configuration = read_configuration(std::filesystem::path(argv[2]) / kConfigurationFile, guest_files(argv[0]));
    auto options = bulkhead::sandbox::vm::parse_keeper_options({argv + 4, argv + argc});
    return bulkhead::sandbox::vm::run_vm_keeper(configuration, options);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "containerd-shim-bulkhead-v2 vm-keeper: %s\n", error.what());
    return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    // SECURITY: CVE-2019-5736: a container's process that still is this program must not lead to the host's file.
    bulkhead::linux::seal_executable(argv);
  } catch (const bulkhead::Error& error) {
    (void)std::fprintf(stderr, "containerd-shim-bulkhead-v2: protect the program from its containers: %s\n", error.what());
    return 1;
  }
  // Executed through a descriptor, it would be called by that descriptor's number.
  ::prctl(PR_SET_NAME, "containerd-shim", 0, 0, 0);
  if (argc > 3 && std::string_view(argv[3]) == "vm-keeper") {
    return keep_machines(argc, argv);
  }
  bulkhead::shim::IsolationRegistry isolations;
  isolations.add("process", [](const auto&) { return std::make_unique<bulkhead::sandbox::ProcessIsolation>(); });
  isolations.add("hyperv", [guest = guest_files(argv[0])](const std::filesystem::path& cache_folder) {
    return std::make_unique<bulkhead::sandbox::VmIsolation>(read_configuration(cache_folder / kConfigurationFile, guest));
  });
  return bulkhead::shim::run_command(argc, argv, isolations);
}
