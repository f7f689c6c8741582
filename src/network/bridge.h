// The bridge of one instance: its link, its subnet, its firewall table, and the check that all of them are still there.
//
// Thread-safe. Acts in the network namespace of the thread that calls first.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "linux/netlink.h"
#include "network/addresses.h"
#include "network/firewall.h"
#include "network/links.h"
#include "network/network_records.h"

namespace bulkhead::network {

class Bridge {
 public:
  /// `fixed_subnet`: "" to choose one. Makes nothing yet.
  Bridge(std::string name, std::string table, std::string fixed_subnet, int mtu, NetworkRecords& records);

  /// Everything is there when this returns, made or repaired where it was not. Three netlink messages where it was.
  /// Returns the network with its subnet.
  NetworkInfo ensure();
  /// Makes a container's link in it. A link of that name that is there already is a crash's leftover: it is replaced.
  void add_link(const Endpoint& endpoint, int peer_namespace);
  /// Call once the other end is up.
  void wait_for_link(const Endpoint& endpoint);
  /// Links in the bridge.
  std::vector<std::string> ports();
  /// Removes link and table.
  void remove();
  /// The next `ensure` looks at everything.
  void doubt();

 private:
  linux::NetlinkSocket& host();
  NetworkInfo record();
  bool is_intact();
  Subnet settle_subnet(const NetworkInfo& network);
  void make(const NetworkInfo& network);

  std::string name_, fixed_subnet_;
  int mtu_;
  NetworkRecords& records_;

  std::mutex mutex_;  // guards everything below
  std::optional<linux::NetlinkSocket> host_;
  Firewall firewall_;
  NetworkInfo network_;  // as last made
  int index_ = 0;        // of the link, 0 where it must be looked at
};

}  // namespace bulkhead::network
