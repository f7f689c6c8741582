// What network_store.h needs of rtnetlink(7): a bridge, veth pairs in it, and what else is on the host.
//
// Every function acts in the network namespace of the socket that it is given. Not thread-safe: one socket, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "linux/netlink.h"
#include "network/addresses.h"

namespace bulkhead::network {

struct Link {
  int index = 0;
  std::string name;
  int master = 0;  // index of the bridge it is in, 0: none
  bool is_up = false;
  bool is_operational = false;  // up, and the kernel has taken notice that its other end is too
};

/// One link by name; nullopt where there is none.
std::optional<Link> find_link(linux::NetlinkSocket& socket, const std::string& name);
std::vector<Link> list_links(linux::NetlinkSocket& socket);
/// Destinations of all IPv4 routes (the default route left out) in all tables.
std::vector<Subnet> list_routes(linux::NetlinkSocket& socket);

/// A bridge without spanning tree, up, with the gateway's address. Repairs one that exists. Returns its index.
int make_bridge(linux::NetlinkSocket& socket, const std::string& name, Ipv4 gateway, int prefix_length, int mtu);

struct VethSpec {
  std::string host_name;  // stays here, in the bridge
  int bridge_index = 0;
  int peer_namespace = -1;  // descriptor of the namespace that gets the other end, "eth0"
  std::string mac_address;  // of the other end
  int mtu = 1500;
};
/// The end on the host is up when this returns; `configure_inside` sets the other up.
void make_veth(linux::NetlinkSocket& socket, const VethSpec& spec);
/// Waits until frames pass through a bridge's port. The kernel notices the other end's being up a moment later, in a work
/// queue; what a container sends before is lost, and sent again by ARP and TCP only after a second.
void wait_until_operational(linux::NetlinkSocket& socket, const std::string& name);
/// Puts links that lost their bridge back; links that are gone are fine.
void attach_links(linux::NetlinkSocket& socket, const std::vector<std::string>& names, int bridge_index);
/// Links that are gone already are fine.
void delete_links(linux::NetlinkSocket& socket, const std::vector<std::string>& names);

/// Inside a new namespace: loopback up.
void set_loopback_up(linux::NetlinkSocket& inside);
/// Inside a new namespace with an eth0: up, its address, the default route, loopback up.
void configure_inside(linux::NetlinkSocket& inside, Ipv4 address, int prefix_length, Ipv4 gateway);

}  // namespace bulkhead::network
