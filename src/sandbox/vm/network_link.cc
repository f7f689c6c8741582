#include "sandbox/vm/network_link.h"

#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "linux/namespace.h"
#include "linux/netlink.h"
#include "sandbox/vm/tap.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

using linux::NetlinkBatch;
using linux::NetlinkSocket;

constexpr uint32_t kIngress = 0xffff0000;  // the handle that an ingress qdisc always has

template <typename Number>
Number number_of(std::string_view bytes) {
  Number number = 0;
  std::memcpy(&number, bytes.data(), std::min(bytes.size(), sizeof(number)));
  return number;
}

std::string mac_text(std::string_view bytes) {
  std::string text;
  for (char byte : bytes) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : ":", static_cast<unsigned char>(byte));
  }
  return text;
}

// A pair of links between the container's namespace and that of its VM's tap: the ends' names.
constexpr const char* kNearEnd = "bulkhead-vm";
constexpr const char* kFarEnd = "bulkhead-net";

bool is_ours(const nlmsghdr& message) {
  bool ours = false;
  linux::for_each_attribute(message, sizeof(ifinfomsg), [&](uint16_t type, std::string_view bytes) {
    if (type == IFLA_IFNAME) {
      std::string name(bytes.data(), bytes.empty() ? 0 : bytes.size() - 1);
      ours = name == kTapName || name == kNearEnd;
    }
  });
  return ours;
}

/// The first Ethernet link that is not ours: its index, 0 where there is none; MAC and MTU go to `guest`.
int find_ethernet(NetlinkSocket& socket, GuestLink& guest) {
  NetlinkBatch batch;
  batch.request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{}, "list links");
  int index = 0;
  socket.query(std::move(batch), [&](const nlmsghdr& message) {
    const auto* header = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
    if (index != 0 || header->ifi_type != ARPHRD_ETHER || is_ours(message)) {
      return;
    }
    index = header->ifi_index;
    linux::for_each_attribute(message, sizeof(ifinfomsg), [&](uint16_t type, std::string_view bytes) {
      if (type == IFLA_ADDRESS) {
        guest.mac_address = mac_text(bytes);
      } else if (type == IFLA_MTU) {
        guest.mtu = number_of<uint32_t>(bytes);
      }
    });
  });
  return index;
}

void read_addresses(NetlinkSocket& socket, int link, GuestLink& guest) {
  NetlinkBatch batch;
  batch.request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}, "list addresses");
  socket.query(std::move(batch), [&](const nlmsghdr& message) {
    const auto* header = static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
    // The guest's kernel makes link-local addresses by itself.
    if (static_cast<int>(header->ifa_index) != link || header->ifa_scope != RT_SCOPE_UNIVERSE) {
      return;
    }
    std::string address;
    linux::for_each_attribute(message, sizeof(ifaddrmsg), [&](uint16_t type, std::string_view bytes) {
      if (type == IFA_LOCAL || (type == IFA_ADDRESS && address.empty())) {
        address = bytes;
      }
    });
    guest.addresses.push_back({.bytes = address, .prefix_length = header->ifa_prefixlen});
  });
}

void read_routes(NetlinkSocket& socket, int link, GuestLink& guest) {
  NetlinkBatch batch;
  batch.request(RTM_GETROUTE, NLM_F_DUMP, rtmsg{}, "list routes");
  socket.query(std::move(batch), [&](const nlmsghdr& message) {
    const auto* header = static_cast<const rtmsg*>(NLMSG_DATA(&message));
    // Those of the kernel's own making come with the addresses.
    if (header->rtm_table != RT_TABLE_MAIN || header->rtm_type != RTN_UNICAST || header->rtm_protocol == RTPROT_KERNEL) {
      return;
    }
    GuestRoute route{.destination = {}, .prefix_length = header->rtm_dst_len, .gateway = {}};
    int out = 0;
    linux::for_each_attribute(message, sizeof(rtmsg), [&](uint16_t type, std::string_view bytes) {
      if (type == RTA_DST && header->rtm_dst_len > 0) {
        route.destination = bytes;
      } else if (type == RTA_GATEWAY) {
        route.gateway = bytes;
      } else if (type == RTA_OIF) {
        out = number_of<int>(bytes);
      }
    });
    if (out == link && !(route.destination.empty() && route.gateway.empty())) {
      guest.routes.push_back(std::move(route));
    }
  });
  std::stable_partition(guest.routes.begin(), guest.routes.end(),
                        [](const GuestRoute& route) { return route.gateway.empty(); });
}

void put_mirred(NetlinkBatch& batch, int to) {
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = static_cast<uint32_t>(to);
  batch.nest(TCA_U32_ACT, [&] {
    batch.nest(1, [&] {  // the first action
      batch.put(TCA_ACT_KIND, std::string("mirred"));
      batch.nest(TCA_ACT_OPTIONS, [&] { batch.put(TCA_MIRRED_PARMS, &mirred, sizeof(mirred)); });
    });
  });
}

/// Everything that arrives at `from` leaves by `to` (tc-mirred(8)), before the namespace's own stack sees it.
void redirect(NetlinkBatch& batch, int from, int to) {
  tcmsg qdisc{.tcm_family = AF_UNSPEC, .tcm_ifindex = from, .tcm_handle = kIngress, .tcm_parent = TC_H_INGRESS};
  batch.request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, qdisc, "watch what arrives at a link");
  batch.put(TCA_KIND, std::string("ingress"));
  tcmsg filter{.tcm_family = AF_UNSPEC,
               .tcm_ifindex = from,
               .tcm_handle = 0,
               .tcm_parent = kIngress,
               .tcm_info = TC_H_MAKE(1U << 16, htons(ETH_P_ALL))};
  batch.request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, filter, "redirect what arrives at a link");
  batch.put(TCA_KIND, std::string("u32"));
  // The selector, and behind it one key whose mask is nothing: everything matches.
  std::array<char, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> everything{};
  tc_u32_sel selector{};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  std::memcpy(everything.data(), &selector, sizeof(selector));
  batch.nest(TCA_OPTIONS, [&] {
    batch.put(TCA_U32_SEL, everything.data(), everything.size());
    put_mirred(batch, to);
  });
}

void undo_redirect(NetlinkSocket& socket, int link) {
  NetlinkBatch batch;
  // By its place, not by its handle: where one was and has gone, the kernel has another's handle there to compare with, and
  // answers EINVAL (tc_get_qdisc) instead of ENOENT.
  tcmsg qdisc{.tcm_family = AF_UNSPEC, .tcm_ifindex = link, .tcm_handle = 0, .tcm_parent = TC_H_INGRESS};
  batch.request(RTM_DELQDISC, 0, qdisc, "stop watching what arrives at a link");
  socket.execute(std::move(batch), linux::Missing::kFine);
}

void remove_link(NetlinkSocket& socket, int index) {
  if (index != 0) {
    NetlinkBatch batch;
    batch.request(RTM_DELLINK, 0, ifinfomsg{.ifi_index = index}, "remove a VM's link");
    socket.execute(std::move(batch), linux::Missing::kFine);
  }
}

/// No address of its own by which it would speak up for itself (kernel: Documentation/networking/ip-sysctl.rst, disable_ipv6).
void silence(const char* name) {
  try {
    write_existing(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", name), "1");
  } catch (const Error&) {  // a kernel without IPv6; or a few packets that nobody asked for
  }
}

int index_of(const char* name) {
  int index = static_cast<int>(::if_nametoindex(name));
  if (index == 0) {
    throw system_error(fmt::format("find a VM's link '{}'", name));
  }
  return index;
}

void set_up(NetlinkBatch& batch, int link, uint32_t mtu) {
  batch.request(RTM_NEWLINK, 0, ifinfomsg{.ifi_index = link, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}, "set a VM's link up");
  batch.put(IFLA_MTU, mtu);
}

void make_pair(int far_namespace) {
  NetlinkBatch batch;
  batch.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{}, fmt::format("add link '{}'", kNearEnd));
  batch.put(IFLA_IFNAME, std::string(kNearEnd));
  batch.nest(IFLA_LINKINFO, [&] {
    batch.put(IFLA_INFO_KIND, "veth", 4);
    batch.nest(IFLA_INFO_DATA, [&] {
      batch.nest(VETH_INFO_PEER, [&] {
        ifinfomsg far{};
        batch.append(&far, sizeof(far));
        batch.put(IFLA_IFNAME, std::string(kFarEnd));
        batch.put(IFLA_NET_NS_FD, static_cast<uint32_t>(far_namespace));
      });
    });
  });
  NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
}

void tie_links(int one, int other, NetlinkBatch batch) {
  redirect(batch, one, other);
  redirect(batch, other, one);
  NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
}

/// What nobody waits for, but the end of this process.
class LateWork {
 public:
  LateWork() = default;
  ~LateWork() {
    for (std::thread& each : threads_) {
      each.join();
    }
  }
  LateWork(const LateWork&) = delete;
  LateWork& operator=(const LateWork&) = delete;
  void add(std::function<void()> work) {
    std::lock_guard lock(mutex_);
    threads_.emplace_back(std::move(work));
  }

 private:
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

LateWork& late_work() {
  static LateWork work;
  return work;
}

/// One that is about to go may still be there: who ended its container didn't wait for that.
void await_no_other() {
  constexpr int kTries = 100;
  for (int tries = 0; ::if_nametoindex(kTapName) != 0 || ::if_nametoindex(kNearEnd) != 0; ++tries) {
    if (tries == kTries) {
      throw Error(ErrorCode::kConflict,
                  "another VM has this network: containers with hyperv isolation can't share a network namespace");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

NetworkLink::NetworkLink(const std::filesystem::path& network_namespace)
    : namespace_(linux::open_namespace(network_namespace, CLONE_NEWNET)) {
  linux::run_in_network(namespace_.get(), [this] {
    NetlinkSocket socket(NETLINK_ROUTE);
    link_index_ = find_ethernet(socket, guest_);
    if (link_index_ != 0) {
      read_addresses(socket, link_index_, guest_);
      read_routes(socket, link_index_, guest_);
      await_no_other();
    }
  });
}

UniqueFd NetworkLink::make_tap() {
  UniqueFd tap;
  linux::run_in_network(namespace_.get(), [&] {
    tap = vm::make_tap();
    made_.own_tap = index_of(kTapName);
    silence(kTapName);
    tie(made_.own_tap);
  });
  return tap;
}

void NetworkLink::reach_tap(UniqueFd elsewhere) {
  made_.elsewhere = std::move(elsewhere);
  linux::run_in_network(namespace_.get(), [&] {
    make_pair(made_.elsewhere.get());
    silence(kNearEnd);
    tie(index_of(kNearEnd));
  });
  linux::run_in_network(made_.elsewhere.get(), [this] {
    for (const char* name : {kFarEnd, kTapName}) {
      silence(name);
    }
    NetlinkBatch batch;
    set_up(batch, index_of(kFarEnd), guest_.mtu);
    set_up(batch, index_of(kTapName), guest_.mtu);
    tie_links(index_of(kFarEnd), index_of(kTapName), std::move(batch));
  });
}

/// The namespace's own link, and ours.
void NetworkLink::tie(int to) {
  NetlinkSocket socket(NETLINK_ROUTE);
  undo_redirect(socket, link_index_);  // of a VM whose shim was killed: its filter would throw everything away
  made_.tied = link_index_;
  NetlinkBatch batch;
  set_up(batch, to, guest_.mtu);
  tie_links(link_index_, to, std::move(batch));
}

void NetworkLink::undo(const UniqueFd& inside, const Made& made) noexcept {
  try {
    linux::run_in_network(inside.get(), [&] {
      NetlinkSocket socket(NETLINK_ROUTE);
      if (made.tied != 0) {
        undo_redirect(socket, made.tied);
      }
      remove_link(socket, made.own_tap);
    });
    if (made.elsewhere) {
      linux::run_in_network(made.elsewhere.get(), [] {
        NetlinkSocket socket(NETLINK_ROUTE);
        remove_link(socket, static_cast<int>(::if_nametoindex(kTapName)));
        remove_link(socket, static_cast<int>(::if_nametoindex(kFarEnd)));
      });
    }
  } catch (const std::exception&) {  // it has gone with its namespace
  }
}

void NetworkLink::undo() noexcept {
  if (made_.anything()) {
    undo(namespace_, std::exchange(made_, {}));
  }
}

void NetworkLink::undo_later() noexcept {
  if (!made_.anything()) {
    return;
  }
  std::shared_ptr<std::pair<UniqueFd, Made>> left;
  try {
    left = std::make_shared<std::pair<UniqueFd, Made>>();
    left->first = std::move(namespace_);
    left->second = std::exchange(made_, {});
    late_work().add([left] { undo(left->first, left->second); });
  } catch (const std::exception&) {  // no thread to be had
    if (left) {
      undo(left->first, left->second);
    }
  }
}

NetworkLink::~NetworkLink() { undo(); }

}  // namespace bulkhead::sandbox::vm
