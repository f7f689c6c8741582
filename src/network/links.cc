#include "network/links.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "support/error.h"

namespace bulkhead::network {
namespace {

using linux::NetlinkBatch;
using linux::NetlinkSocket;

constexpr int kLoopbackIndex = 1;  // LOOPBACK_IFINDEX of the kernel: in every namespace
constexpr const char* kInsideName = "eth0";

std::string text_of(std::string_view bytes) { return {bytes.data(), strnlen(bytes.data(), bytes.size())}; }

uint32_t number_of(std::string_view bytes) {
  uint32_t number = 0;
  std::memcpy(&number, bytes.data(), std::min(bytes.size(), sizeof(number)));
  return number;
}

std::array<uint8_t, 6> parse_mac(const std::string& text) {
  std::array<unsigned, 6> parts{};
  // NOLINTNEXTLINE(cert-err34-c): the number of conversions is checked, and two digits can't overflow.
  if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5]) !=
      6) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a MAC address", text));
  }
  std::array<uint8_t, 6> mac{};
  for (size_t i = 0; i < mac.size(); ++i) {
    mac[i] = static_cast<uint8_t>(parts[i]);
  }
  return mac;
}

Link parse_link(const nlmsghdr& message) {
  const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  Link link{.index = header->ifi_index, .is_up = (header->ifi_flags & IFF_UP) != 0};
  linux::for_each_attribute(message, sizeof(ifinfomsg), [&](uint16_t type, std::string_view bytes) {
    if (type == IFLA_IFNAME) {
      link.name = text_of(bytes);
    } else if (type == IFLA_MASTER) {
      link.master = static_cast<int>(number_of(bytes));
    } else if (type == IFLA_OPERSTATE) {
      link.is_operational = number_of(bytes) == IF_OPER_UP;
    }
  });
  return link;
}

void put_address(NetlinkBatch& batch, uint16_t attribute, Ipv4 address) { batch.put(attribute, htonl(address)); }

void request_up(NetlinkBatch& batch, int index, const std::string& name) {
  batch.request(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
                fmt::format("set link '{}' up", name));
}

void request_address(NetlinkBatch& batch, int index, const std::string& name, Ipv4 address, int prefix_length) {
  ifaddrmsg header{
      .ifa_family = AF_INET, .ifa_prefixlen = static_cast<uint8_t>(prefix_length), .ifa_index = static_cast<uint32_t>(index)};
  batch.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, header,
                fmt::format("set address {}/{} on link '{}'", to_string(address), prefix_length, name));
  put_address(batch, IFA_LOCAL, address);
  put_address(batch, IFA_ADDRESS, address);
  put_address(batch, IFA_BROADCAST, Subnet{.base = address, .prefix_length = prefix_length}.last());
}

/// One request per link, in batches small enough that all answers fit the socket's buffer.
void for_each_part(NetlinkSocket& socket, const std::vector<std::string>& names,
                   const std::function<void(NetlinkBatch&, const std::string&)>& add_request) {
  constexpr size_t kRequests = 32;
  for (size_t start = 0; start < names.size(); start += kRequests) {
    NetlinkBatch batch;
    for (size_t i = start; i < std::min(names.size(), start + kRequests); ++i) {
      add_request(batch, names[i]);
    }
    socket.execute(std::move(batch), linux::Missing::kFine);
  }
}

}  // namespace

std::optional<Link> find_link(NetlinkSocket& socket, const std::string& name) {
  NetlinkBatch batch;
  batch.request(RTM_GETLINK, 0, ifinfomsg{}, fmt::format("find link '{}'", name));
  batch.put(IFLA_IFNAME, name);
  batch.put(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
  std::optional<Link> link;
  socket.query(std::move(batch), [&](const nlmsghdr& message) { link = parse_link(message); });
  return link;
}

std::vector<Link> list_links(NetlinkSocket& socket) {
  NetlinkBatch batch;
  batch.request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}, "list links");
  batch.put(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
  std::vector<Link> links;
  socket.query(std::move(batch), [&](const nlmsghdr& message) { links.push_back(parse_link(message)); });
  return links;
}

std::vector<Subnet> list_routes(NetlinkSocket& socket) {
  NetlinkBatch batch;
  batch.request(RTM_GETROUTE, NLM_F_DUMP, rtmsg{.rtm_family = AF_INET}, "list routes");
  std::vector<Subnet> routes;
  socket.query(std::move(batch), [&](const nlmsghdr& message) {
    const auto* header = static_cast<const rtmsg*>(NLMSG_DATA(&message));
    linux::for_each_attribute(message, sizeof(rtmsg), [&](uint16_t type, std::string_view bytes) {
      if (type == RTA_DST && header->rtm_dst_len > 0) {
        routes.push_back({.base = ntohl(number_of(bytes)), .prefix_length = header->rtm_dst_len});
      }
    });
  });
  return routes;
}

int make_bridge(NetlinkSocket& socket, const std::string& name, Ipv4 gateway, int prefix_length, int mtu) {
  if (!find_link(socket, name)) {
    NetlinkBatch create;
    create.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{}, fmt::format("add bridge '{}'", name));
    create.put(IFLA_IFNAME, name);
    create.put(IFLA_MTU, static_cast<uint32_t>(mtu));
    // Set, so that it does not follow the lowest of the ports as these come and go: containers have it in their ARP caches.
    auto mac = parse_mac(mac_of(gateway));
    create.put(IFLA_ADDRESS, mac.data(), mac.size());
    create.nest(IFLA_LINKINFO, [&] {
      create.put(IFLA_INFO_KIND, "bridge", 6);
      create.nest(IFLA_INFO_DATA, [&] {
        create.put(IFLA_BR_STP_STATE, uint32_t{0});
        create.put(IFLA_BR_FORWARD_DELAY, uint32_t{0});
      });
    });
    socket.execute(std::move(create));
  }
  auto link = find_link(socket, name);
  if (!link) {
    throw Error(ErrorCode::kNotFound, fmt::format("bridge '{}' disappeared", name));
  }
  NetlinkBatch configure;
  request_address(configure, link->index, name, gateway, prefix_length);
  request_up(configure, link->index, name);
  socket.execute(std::move(configure));
  return link->index;
}

void make_veth(NetlinkSocket& socket, const VethSpec& spec) {
  auto mac = parse_mac(spec.mac_address);
  NetlinkBatch batch;
  ifinfomsg up{.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  batch.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, up, fmt::format("add link '{}'", spec.host_name));
  batch.put(IFLA_IFNAME, spec.host_name);
  batch.put(IFLA_MTU, static_cast<uint32_t>(spec.mtu));
  batch.put(IFLA_MASTER, static_cast<uint32_t>(spec.bridge_index));
  batch.nest(IFLA_LINKINFO, [&] {
    batch.put(IFLA_INFO_KIND, "veth", 4);
    batch.nest(IFLA_INFO_DATA, [&] {
      batch.nest(VETH_INFO_PEER, [&] {
        ifinfomsg down{};  // the kernel refuses to set an end up that has no other end yet
        batch.append(&down, sizeof(down));
        batch.put(IFLA_IFNAME, std::string(kInsideName));
        batch.put(IFLA_MTU, static_cast<uint32_t>(spec.mtu));
        batch.put(IFLA_ADDRESS, mac.data(), mac.size());
        batch.put(IFLA_NET_NS_FD, static_cast<uint32_t>(spec.peer_namespace));
      });
    });
  });
  socket.execute(std::move(batch));
}

void wait_until_operational(NetlinkSocket& socket, const std::string& name) {
  // Since Linux 6.9 asking is enough: RTM_GETLINK brings the state up to date first. Before, the work queue has to come to it.
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
  while (std::chrono::steady_clock::now() < deadline) {
    auto link = find_link(socket, name);
    if (!link || link->is_operational) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
}

void attach_links(NetlinkSocket& socket, const std::vector<std::string>& names, int bridge_index) {
  for_each_part(socket, names, [&](NetlinkBatch& batch, const std::string& name) {
    batch.request(RTM_NEWLINK, 0, ifinfomsg{}, fmt::format("put link '{}' into its bridge", name));
    batch.put(IFLA_IFNAME, name);
    batch.put(IFLA_MASTER, static_cast<uint32_t>(bridge_index));
  });
}

void delete_links(NetlinkSocket& socket, const std::vector<std::string>& names) {
  for_each_part(socket, names, [&](NetlinkBatch& batch, const std::string& name) {
    batch.request(RTM_DELLINK, 0, ifinfomsg{}, fmt::format("delete link '{}'", name));
    batch.put(IFLA_IFNAME, name);
  });
}

void set_loopback_up(NetlinkSocket& inside) {
  NetlinkBatch batch;
  request_up(batch, kLoopbackIndex, "lo");
  inside.execute(std::move(batch));
}

void configure_inside(NetlinkSocket& inside, Ipv4 address, int prefix_length, Ipv4 gateway) {
  auto link = find_link(inside, kInsideName);
  if (!link) {
    throw Error(ErrorCode::kNotFound, fmt::format("the namespace has no link '{}'", kInsideName));
  }
  NetlinkBatch batch;
  request_up(batch, kLoopbackIndex, "lo");
  request_up(batch, link->index, kInsideName);
  request_address(batch, link->index, kInsideName, address, prefix_length);
  rtmsg route{.rtm_family = AF_INET,
              .rtm_table = RT_TABLE_MAIN,
              .rtm_protocol = RTPROT_BOOT,
              .rtm_scope = RT_SCOPE_UNIVERSE,
              .rtm_type = RTN_UNICAST};
  batch.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route, fmt::format("add default route via {}", to_string(gateway)));
  put_address(batch, RTA_GATEWAY, gateway);
  batch.put(RTA_OIF, static_cast<uint32_t>(link->index));
  inside.execute(std::move(batch));
}

}  // namespace bulkhead::network
