// The nftables table of one bridge: masquerading of what leaves its subnet, and what may be forwarded to and from it.
//
// Made by one short run of nft(8) when first needed, so that the engine does not carry libnftables for a table that never
// changes; later checks cost one netlink message. Not thread-safe. Acts in the network namespace of the thread that calls
// first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "linux/netlink.h"
#include "network/addresses.h"

namespace bulkhead::network {

class Firewall {
 public:
  /// `table`: the table's name, [a-z0-9_]+.
  explicit Firewall(std::string table) : table_(std::move(table)) {}

  /// The table is there and whole when this returns: also where somebody flushed it. Throws kNotSupported where nft(8) or the
  /// kernel's part of it is missing.
  void ensure(const std::string& bridge, const Subnet& subnet);
  /// Idempotent.
  void remove();

 private:
  linux::NetlinkSocket& socket();
  uint32_t generation();
  size_t rule_count();

  std::string table_;
  std::optional<linux::NetlinkSocket> socket_;
  std::optional<uint32_t> checked_generation_;  // of the whole ruleset, when the table was last known to be whole
};

/// The commands for nft(8) that replace the table in one transaction.
std::string firewall_rules(const std::string& table, const std::string& bridge, const Subnet& subnet);

}  // namespace bulkhead::network
