// The shim: one process beside each container. Names the isolations that it can make.
#include "sandbox/process/process_isolation.h"
#include "shim/commands.h"

int main(int argc, char** argv) {
  bulkhead::shim::IsolationRegistry isolations;
  isolations.add("process", [] { return std::make_unique<bulkhead::sandbox::ProcessIsolation>(); });
  return bulkhead::shim::run_command(argc, argv, isolations);
}
