// bulkhead-agent: PID 1 of a container's VM. There is nobody to tell what fails here but the host, by ending the machine.
#include <signal.h>
#include <unistd.h>

#include <exception>

#include "agent/guest/agent.h"
#include "agent/guest/guest_system.h"
#include "support/log.h"

int main() {
  if (::getpid() != 1) {
    bulkhead::log::error("bulkhead-agent is the init of a VM and does nothing else");
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);  // the runner gives its children the default again
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
