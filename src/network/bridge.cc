#include "network/bridge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/unique_fd.h"

namespace bulkhead::network {
namespace {

/// Keeps two instances from choosing the same subnet at the same moment: a flock(2) on the one file that all users of this
/// network namespace have in common, the namespace's own. Anybody may hold that lock, so nobody waits for it for long.
UniqueFd lock_host() {
  UniqueFd file = open_file("/proc/thread-self/ns/net", O_RDONLY);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return file;
}

void enable_forwarding() {
  constexpr const char* kFile = "/proc/sys/net/ipv4/ip_forward";
  if (read_file(kFile).starts_with('0')) {
    write_existing(kFile, "1");
    log::info("enabled IPv4 forwarding on this host ({}) for the bridge network", kFile);
  }
}

/// SECURITY: without IPv6 on the bridge, no container can make itself the host's router with a router advertisement
/// (CVE-2020-13401), nor reach the host's link-local services past the IPv4 rules.
void disable_ipv6(const std::string& link) {
  std::string file = fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", link);
  if (access(file.c_str(), F_OK) == 0) {
    write_existing(file, "1");
  }
}

}  // namespace

Bridge::Bridge(std::string name, std::string table, std::string fixed_subnet, int mtu, NetworkRecords& records)
    : name_(std::move(name)),
      fixed_subnet_(std::move(fixed_subnet)),
      mtu_(mtu),
      records_(records),
      firewall_(std::move(table)) {
  if (!fixed_subnet_.empty()) {
    parse_subnet(fixed_subnet_);  // says now what is wrong with it
  }
}

linux::NetlinkSocket& Bridge::host() {
  if (!host_) {
    host_.emplace(NETLINK_ROUTE);
  }
  return *host_;
}

NetworkInfo Bridge::record() {
  auto networks = records_.list();
  auto found =
      std::find_if(networks.begin(), networks.end(), [](const NetworkInfo& network) { return network.name == "bridge"; });
  if (found == networks.end()) {
    throw Error(ErrorCode::kDataLoss, "state database: the network 'bridge' is missing");
  }
  return *found;
}

bool Bridge::is_intact() {
  if (index_ == 0) {
    return false;
  }
  auto link = find_link(host(), name_);
  return link && link->index == index_ && link->is_up;
}

NetworkInfo Bridge::ensure() {
  std::lock_guard lock(mutex_);
  if (!is_intact()) {
    index_ = 0;
    make(record());
  }
  firewall_.ensure(name_, parse_subnet(network_.subnet));
  return network_;
}

/// The subnet that was used before, as long as it can be: containers and people remember addresses.
Subnet Bridge::settle_subnet(const NetworkInfo& network) {
  auto endpoints = records_.endpoints();
  bool is_used =
      std::any_of(endpoints.begin(), endpoints.end(), [](const auto& entry) { return !entry.endpoint.address.empty(); });
  if (!network.subnet.empty() && (is_used || network.subnet == fixed_subnet_)) {
    if (!fixed_subnet_.empty() && network.subnet != fixed_subnet_) {
      log::warn("the bridge keeps subnet {} instead of {} until no container has an address in it", network.subnet,
                fixed_subnet_);
    }
    return parse_subnet(network.subnet);
  }
  if (!fixed_subnet_.empty()) {
    return parse_subnet(fixed_subnet_);
  }
  auto routes = list_routes(host());
  if (!network.subnet.empty()) {
    Subnet before = parse_subnet(network.subnet);
    bool is_free = std::none_of(routes.begin(), routes.end(), [&](const Subnet& route) { return route.overlaps(before); });
    if (is_free || find_link(host(), name_)) {  // with the link there, the routes are its own
      return before;
    }
  }
  return choose_subnet(routes);
}

void Bridge::make(const NetworkInfo& network) {
  UniqueFd host_lock = lock_host();
  Subnet subnet = settle_subnet(network);
  if (to_string(subnet) != network.subnet) {
    records_.set_subnet(network.id, subnet);
    firewall_.remove();
  }
  int index = make_bridge(host(), name_, gateway_of(subnet), subnet.prefix_length, mtu_);
  disable_ipv6(name_);
  enable_forwarding();
  std::vector<std::string> links;
  for (const auto& entry : records_.endpoints()) {
    if (!entry.endpoint.host_interface.empty()) {
      links.push_back(entry.endpoint.host_interface);
    }
  }
  attach_links(host(), links, index);
  network_ = record();
  index_ = index;
}

void Bridge::add_link(const Endpoint& endpoint, int peer_namespace) {
  std::lock_guard lock(mutex_);
  VethSpec spec{.host_name = endpoint.host_interface,
                .bridge_index = index_,
                .peer_namespace = peer_namespace,
                .mac_address = endpoint.mac_address,
                .mtu = mtu_};
  try {
    make_veth(host(), spec);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kConflict) {
      throw;
    }
    delete_links(host(), {endpoint.host_interface});
    make_veth(host(), spec);
  }
}

void Bridge::wait_for_link(const Endpoint& endpoint) {
  std::lock_guard lock(mutex_);
  wait_until_operational(host(), endpoint.host_interface);
}

std::vector<std::string> Bridge::ports() {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  auto bridge = find_link(host(), name_);
  if (bridge) {
    for (const Link& link : list_links(host())) {
      if (link.master == bridge->index) {
        names.push_back(link.name);
      }
    }
  }
  return names;
}

void Bridge::remove() {
  std::lock_guard lock(mutex_);
  index_ = 0;
  delete_links(host(), {name_});
  firewall_.remove();
}

void Bridge::doubt() {
  std::lock_guard lock(mutex_);
  index_ = 0;
}

}  // namespace bulkhead::network
