// The shim: one process beside each container. Names the isolations that it can make.
#include <sys/prctl.h>

#include <cstdio>

#include "linux/sealed_executable.h"
#include "sandbox/process/process_isolation.h"
#include "shim/commands.h"
#include "support/error.h"

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
  bulkhead::shim::IsolationRegistry isolations;
  isolations.add("process", [] { return std::make_unique<bulkhead::sandbox::ProcessIsolation>(); });
  return bulkhead::shim::run_command(argc, argv, isolations);
}
