// IPv4 addresses and subnets as numbers, and the two decisions about them: which subnet a bridge gets, which address an
// endpoint gets. Pure functions: no system calls, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::network {

/// In host byte order, so that it counts.
using Ipv4 = uint32_t;

struct Subnet {
  Ipv4 base = 0;  // the network's address: host bits are zero
  int prefix_length = 0;

  /// First and last address of all, network and broadcast address included.
  Ipv4 first() const { return base; }
  Ipv4 last() const;
  bool contains(Ipv4 address) const { return address >= first() && address <= last(); }
  bool overlaps(const Subnet& other) const { return first() <= other.last() && other.first() <= last(); }
  bool operator==(const Subnet&) const = default;
};

/// "172.18.0.1" exactly: four decimal numbers without leading zeros.
std::optional<Ipv4> parse_ipv4(std::string_view text);
std::string to_string(Ipv4 address);
/// "172.18.0.0/16". Throws kInvalidArgument where it isn't a subnet, has host bits set, or can't hold a gateway and a container
/// (prefix 8 to 30).
Subnet parse_subnet(std::string_view text);
std::string to_string(const Subnet& subnet);

/// The first of 172.17.0.0/16 .. 172.31.0.0/16, 192.168.0.0/20 .. 192.168.240.0/20 that overlaps none of `used`; the ones that
/// Docker's default bridge and networks take too. Throws kResourceExhausted where none is left.
Subnet choose_subnet(const std::vector<Subnet>& used);

/// The gateway: the first host address.
Ipv4 gateway_of(const Subnet& subnet);
/// The next free host address after `previous` (0: none yet), turning around at the end: an address just released comes back
/// last, so that a peer's stale ARP entry or connection does not meet a stranger. nullopt where all are used.
std::optional<Ipv4> next_address(const Subnet& subnet, Ipv4 previous, const std::function<bool(Ipv4)>& is_used);

/// 02:42 and the address in hexadecimal, as Docker makes them: unique in a network as the address is, and stable.
std::string mac_of(Ipv4 address);

}  // namespace bulkhead::network
