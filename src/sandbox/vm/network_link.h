// A VM's way into a container's network namespace: a tap beside the namespace's own link (a veth of the engine or of CNI), the
// two tied together by tc, and what the guest must know to be that link: its MAC, addresses and routes.
//
// Owned by the sandbox; the shim's thread. Each call works in a short-lived thread inside the namespace.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

struct GuestAddress {
  std::string bytes;  // 4 or 16
  uint8_t prefix_length = 0;
};

struct GuestRoute {
  std::string destination;  // empty: the default route
  uint8_t prefix_length = 0;
  std::string gateway;  // empty: on the link
};

struct GuestLink {
  std::string mac_address;
  uint32_t mtu = 1500;
  std::vector<GuestAddress> addresses;
  std::vector<GuestRoute> routes;  // those on the link first: gateways are reached by them
};

class NetworkLink {
 public:
  /// Takes the first link that is not the loopback, and makes the tap. A VM that waited has its tap in the namespace `waiting`:
  /// that is moved. kNotFound where the container's namespace isn't there.
  NetworkLink(const std::filesystem::path& network_namespace, const UniqueFd& waiting);
  /// Undoes the ties, where the namespace is still there; the tap goes with its last descriptor.
  ~NetworkLink();
  NetworkLink(const NetworkLink&) = delete;
  NetworkLink& operator=(const NetworkLink&) = delete;

  /// False where the namespace has only a loopback (--network=none): there is nothing to lead to.
  bool has_link() const { return link_index_ != 0; }
  const GuestLink& guest() const { return guest_; }
  /// For QEMU; invalid where it has it.
  UniqueFd take_tap() { return std::move(tap_); }

 private:
  void tie(UniqueFd tap);

  UniqueFd namespace_;
  UniqueFd tap_;
  int link_index_ = 0;
  GuestLink guest_;
};

}  // namespace bulkhead::sandbox::vm
