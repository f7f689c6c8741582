#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>

#include <array>
#include <cstdio>
#include <cstring>

#include "agent/guest/guest_system.h"
#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "linux/netlink.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::agent {
namespace {

using linux::NetlinkBatch;

constexpr const char* kInterface = "eth0";
constexpr int kLoopback = 1;  // LOOPBACK_IFINDEX

std::array<uint8_t, 6> parse_mac(const std::string& text) {
  std::array<uint8_t, 6> mac{};
  // NOLINTNEXTLINE(cert-err34-c): the number of conversions is checked, and two digits can't overflow.
  if (std::sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) !=
      6) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a MAC address", text));
  }
  return mac;
}

uint8_t family_of(const std::string& address) {
  if (address.size() != 4 && address.size() != 16) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("a network address of {} bytes", address.size()));
  }
  return address.size() == 4 ? AF_INET : AF_INET6;
}

void add_address(NetlinkBatch& batch, int link, const wire::Address& address) {
  ifaddrmsg header{.ifa_family = family_of(address.address()),
                   .ifa_prefixlen = static_cast<uint8_t>(address.prefix_length()),
                   .ifa_flags = IFA_F_NODAD,  // the host's engine gave it: nobody else has it
                   .ifa_index = static_cast<uint32_t>(link)};
  batch.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, header, "set an address on eth0");
  batch.put(IFA_LOCAL, address.address().data(), address.address().size());
  batch.put(IFA_ADDRESS, address.address().data(), address.address().size());
  if (address.address().size() == 4 && address.prefix_length() < 31) {
    uint32_t broadcast = 0;
    std::memcpy(&broadcast, address.address().data(), sizeof(broadcast));
    broadcast |= htonl(address.prefix_length() == 0 ? ~0U : ~0U >> address.prefix_length());
    batch.put(IFA_BROADCAST, broadcast);
  }
}

void add_route(NetlinkBatch& batch, int link, const wire::Route& route) {
  bool has_gateway = !route.gateway().empty();
  uint8_t family = family_of(has_gateway ? route.gateway() : route.destination());
  rtmsg header{.rtm_family = family,
               .rtm_dst_len = static_cast<uint8_t>(route.prefix_length()),
               .rtm_table = RT_TABLE_MAIN,
               .rtm_protocol = RTPROT_BOOT,
               .rtm_scope = static_cast<uint8_t>(has_gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK),
               .rtm_type = RTN_UNICAST};
  batch.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, header, "add a route over eth0");
  if (!route.destination().empty()) {
    batch.put(RTA_DST, route.destination().data(), route.destination().size());
  }
  if (has_gateway) {
    batch.put(RTA_GATEWAY, route.gateway().data(), route.gateway().size());
  }
  batch.put(RTA_OIF, static_cast<uint32_t>(link));
}

void set_up(NetlinkBatch& batch, int link) {
  batch.request(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = link, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}, "set a link up");
}

/// The agent in the container's network namespace, for the scope's time. Its one thread does nothing else meanwhile.
class InsideNetwork {
 public:
  explicit InsideNetwork(const char* path) : own_(open_file("/proc/self/ns/net", O_RDONLY)) {
    if (::setns(open_file(path, O_RDONLY).get(), CLONE_NEWNET) != 0) {
      throw system_error("enter the container's network");
    }
  }
  ~InsideNetwork() { ::setns(own_.get(), CLONE_NEWNET); }
  InsideNetwork(const InsideNetwork&) = delete;
  InsideNetwork& operator=(const InsideNetwork&) = delete;

 private:
  UniqueFd own_;
};

int find_interface() {
  int link = static_cast<int>(::if_nametoindex(kInterface));
  if (link == 0) {
    throw system_error("find eth0 in the guest");
  }
  return link;
}

void move_interface(const UniqueFd& target) {
  NetlinkBatch batch;
  batch.request(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = find_interface()}, "move eth0 to another network namespace");
  batch.put(IFLA_NET_NS_FD, static_cast<uint32_t>(target.get()));
  linux::NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
}

}  // namespace

void make_network() {
  // Otherwise each namespace begins with a fallback device of every kind of tunnel (networking/ip-sysctl, Linux 4.17).
  write_existing("/proc/sys/net/core/fb_tunnels_only_for_init_net", "1");
  UniqueFd own = open_file("/proc/self/ns/net", O_RDONLY);
  open_file(kNetwork, O_RDONLY | O_CREAT, 0400);
  if (::unshare(CLONE_NEWNET) != 0 || ::mount("/proc/self/ns/net", kNetwork, nullptr, MS_BIND, nullptr) != 0) {
    throw system_error("make the container's network");
  }
  NetlinkBatch batch;
  set_up(batch, kLoopback);
  linux::NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
  if (::setns(own.get(), CLONE_NEWNET) != 0) {
    throw system_error("leave the container's network");
  }
  move_interface(open_file(kNetwork, O_RDONLY));
}

void take_network_away() {
  UniqueFd own = open_file("/proc/self/ns/net", O_RDONLY);
  InsideNetwork inside(kNetwork);
  move_interface(own);
}

void reset_network(const wire::Network& network) {
  InsideNetwork inside(kNetwork);
  int link = find_interface();
  NetlinkBatch batch;
  for (const wire::Address& address : network.addresses()) {
    ifaddrmsg header{.ifa_family = family_of(address.address()),
                     .ifa_prefixlen = static_cast<uint8_t>(address.prefix_length()),
                     .ifa_index = static_cast<uint32_t>(link)};
    batch.request(RTM_DELADDR, 0, header, "take an address from eth0");
    batch.put(IFA_LOCAL, address.address().data(), address.address().size());
  }
  // Takes the routes too.
  batch.request(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = link, .ifi_change = IFF_UP}, "set eth0 down");
  linux::NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
}

void configure_network(const wire::Network& network) {
  InsideNetwork inside(kNetwork);
  int link = find_interface();
  NetlinkBatch batch;
  auto mac = parse_mac(network.mac_address());
  batch.request(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = link}, "set the MAC address of eth0");
  batch.put(IFLA_ADDRESS, mac.data(), mac.size());
  batch.put(IFLA_MTU, network.mtu());
  set_up(batch, link);
  for (const wire::Address& address : network.addresses()) {
    add_address(batch, link, address);
  }
  for (const wire::Route& route : network.routes()) {
    add_route(batch, link, route);
  }
  linux::NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
}

}  // namespace bulkhead::agent
