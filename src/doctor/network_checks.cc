// The default network: bridge, veth, masquerading; and what joins a VM to it. Each is made for real in a network namespace that
// ends with the trial.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <array>
#include <cstring>

#include "doctor/doctor.h"
#include "doctor/trial.h"
#include "linux/netlink.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::doctor {
namespace {

using linux::NetlinkBatch;
using linux::NetlinkSocket;

constexpr int kLoopback = 1;  // its index in every namespace

void add_link(const char* kind) {
  enter_namespaces(CLONE_NEWNET);
  NetlinkSocket socket(NETLINK_ROUTE);
  NetlinkBatch batch;
  batch.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{}, fmt::format("add a {}", kind));
  batch.put(IFLA_IFNAME, std::string("doctor0"));
  batch.nest(IFLA_LINKINFO, [&] { batch.put(IFLA_INFO_KIND, std::string(kind)); });
  socket.execute(std::move(batch));
}

Check check_link(const char* kind, const char* module) {
  auto why = try_in_child([&] { add_link(kind); });
  return {.health = why ? Health::kMissing : Health::kOk,
          .subject = kind,
          .found = why ? why->why : "one was made",
          .remedy = remedy_of(why, fmt::format("modprobe {}", module))};
}

Check check_firewall() {
  Check check{.subject = "nftables", .found = "a masquerading rule was made", .remedy = {}};
  std::string program = find_program({"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"});
  if (program.empty()) {
    check.health = Health::kMissing;
    check.found = "nft(8) is not installed";
    check.remedy = "apt install nftables";
    return check;
  }
  auto why = try_in_child([&] {
    enter_namespaces(CLONE_NEWNET);
    ProgramResult result = run_program({program,
                                        "add table ip doctor; add chain ip doctor out { type nat hook postrouting "
                                        "priority 100; }; add rule ip doctor out masquerade"});
    if (result.code != 0) {
      bool denied = result.output.find("Operation not permitted") != std::string::npos;
      throw Error(denied ? ErrorCode::kPermissionDenied : ErrorCode::kNotSupported,
                  result.output.substr(0, result.output.find('\n')));
    }
  });
  if (why) {
    check.health = Health::kMissing;
    check.found = why->why;
    check.remedy = remedy_of(why, "modprobe -a nf_tables nft_chain_nat nft_masq");
  }
  return check;
}

void make_tap() {
  enter_namespaces(CLONE_NEWNET);
  UniqueFd tap = open_file("/dev/net/tun", O_RDWR);
  ifreq request{};
  std::strncpy(request.ifr_name, "doctor0", IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    throw system_error("make a tap");
  }
}

/// What joins a VM's tap to its veth: an ingress qdisc, a u32 filter that matches everything, a mirred redirect.
void redirect_packets() {
  enter_namespaces(CLONE_NEWNET);
  NetlinkBatch batch;
  tcmsg qdisc{
      .tcm_family = AF_UNSPEC, .tcm_ifindex = kLoopback, .tcm_handle = TC_H_INGRESS & 0xffff0000, .tcm_parent = TC_H_INGRESS};
  batch.request(RTM_NEWQDISC, NLM_F_CREATE, qdisc, "add an ingress qdisc");
  batch.put(TCA_KIND, std::string("ingress"));
  tcmsg filter{.tcm_family = AF_UNSPEC,
               .tcm_ifindex = kLoopback,
               .tcm_parent = qdisc.tcm_handle,
               .tcm_info = TC_H_MAKE(1U << 16, htons(ETH_P_ALL))};
  batch.request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, filter, "add a u32 filter with a mirred action");
  batch.put(TCA_KIND, std::string("u32"));
  std::array<char, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> everything{};
  tc_u32_sel selector{};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  std::memcpy(everything.data(), &selector, sizeof(selector));
  tc_mirred mirred{};
  mirred.action = TC_ACT_STOLEN;
  mirred.eaction = TCA_EGRESS_REDIR;
  mirred.ifindex = kLoopback;
  batch.nest(TCA_OPTIONS, [&] {
    batch.put(TCA_U32_SEL, everything.data(), everything.size());
    batch.nest(TCA_U32_ACT, [&] {
      batch.nest(1, [&] {
        batch.put(TCA_ACT_KIND, std::string("mirred"));
        batch.nest(TCA_ACT_OPTIONS, [&] { batch.put(TCA_MIRRED_PARMS, &mirred, sizeof(mirred)); });
      });
    });
  });
  NetlinkSocket(NETLINK_ROUTE).execute(std::move(batch));
}

Check check_trial(const char* subject, void (*attempt)(), const char* remedy) {
  auto why = try_in_child(attempt);
  return {.need = Need::kHyperv,
          .health = why ? Health::kMissing : Health::kOk,
          .subject = subject,
          .found = why ? why->why : "one was made",
          .remedy = remedy_of(why, remedy)};
}

}  // namespace

Checks network_checks() {
  return {check_link("bridge", "bridge"), check_link("veth", "veth"), check_firewall(),
          check_trial("tap", make_tap, "modprobe tun"),
          check_trial("packet redirect", redirect_packets, "modprobe -a sch_ingress cls_u32 act_mirred")};
}

}  // namespace bulkhead::doctor
