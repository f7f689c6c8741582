// The guest as a system: its own mounts, clock, random generator, network interface. What every container in it stands on.
#pragma once

#include "support/unique_fd.h"

namespace bulkhead::agent {

namespace wire {
class ConfigureRequest;
class Network;
}  // namespace wire

/// Mounts /dev, /proc, /sys, cgroup2, /run; descriptors 0 to 2 become /dev/null.
void prepare_guest();
/// The virtio-serial port of that name (kPortName). Waits for it to appear.
UniqueFd open_host_port();

/// Makes this guest another one than its siblings from the same template: random generator, clock, names, network.
void configure_guest(const wire::ConfigureRequest& request);
/// Makes the container's network namespace (kNetwork), with a loopback and eth0. The agent's own has what this kernel makes by
/// itself.
void make_network();
/// Gives eth0 its MAC address, addresses and routes, and sets it up.
void configure_network(const wire::Network& network);
/// Undoes that.
void reset_network(const wire::Network& network);
/// For a container that has a loopback only.
void take_network_away();

/// Mounts the host's shared folders on kSharesFolder.
void mount_shares();

/// Ends the machine now. PID 1 may not return.
[[noreturn]] void power_off();

}  // namespace bulkhead::agent
