#include "sandbox/vm/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cstring>
#include <exception>
#include <thread>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {

UniqueFd make_tap() {
  UniqueFd tap = open_file("/dev/net/tun", O_RDWR);
  ifreq request{};
  std::strncpy(request.ifr_name, kTapName, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    throw system_error("make a tap in the VM's network namespace");
  }
  return tap;
}

IdleTap make_idle_tap() {
  IdleTap tap;
  std::exception_ptr failure;
  std::thread([&] {
    try {
      if (::unshare(CLONE_NEWNET) != 0) {
        throw system_error("make a network namespace for a VM");
      }
      tap.network_namespace = open_file("/proc/thread-self/ns/net", O_RDONLY);
      tap.file = make_tap();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) {
    std::rethrow_exception(failure);
  }
  return tap;
}

}  // namespace bulkhead::sandbox::vm
