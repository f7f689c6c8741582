// bulkhead-agent: PID 1 of a container's VM. There is nobody to tell what fails here but the host, by ending the machine.
#include <signal.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <string_view>

#include "agent/guest/agent.h"
#include "agent/guest/guest_system.h"
#include "agent/guest/modules.h"
#include "agent/protocol/protocol.h"
#include "support/log.h"

namespace {

/// What warms a guest up: a program that is loaded, writes, reads and ends, as those of containers do.
int run_as_any_program() {
  constexpr std::string_view kText = "warm\n";
  [[maybe_unused]] auto written = ::write(STDOUT_FILENO, kText.data(), kText.size());
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == bulkhead::agent::kWarmUpArgument) {
    return run_as_any_program();
  }
  if (argc > 1 && std::filesystem::path(argv[0]).filename() == bulkhead::agent::kModprobe) {
    return bulkhead::agent::run_modprobe(argv[argc - 1]);
  }
  if (::getpid() != 1) {
    bulkhead::log::error("bulkhead-agent is the init of a VM and does nothing else");
    return 1;
  }
  (void)::signal(SIGPIPE, SIG_IGN);  // the runner gives its children the default again
  try {
    bulkhead::agent::prepare_guest();
    bulkhead::agent::EventLoop loop;
    bulkhead::agent::Agent agent(loop, bulkhead::agent::open_host_port());
    loop.run();
  } catch (const std::exception& error) {
    bulkhead::log::error("agent: {}", error.what());
  }
  bulkhead::agent::power_off();
}
