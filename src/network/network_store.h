// Networks of one instance and the containers' places in them. Both isolation modes get the same: a network namespace, a
// veth pair into a bridge of ours, an address that nobody else has, masquerading by one nftables table of ours.
//
// Names in the kernel carry the instance (first digits of a hash of its root), so that instances live side by side.
// Thread-safe; functions block for as long as rtnetlink(7) does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead {
class Database;
}

namespace bulkhead::network {

struct NetworkInfo {
  std::string id;               // 64 hex digits
  std::string name;             // "bridge", "host", "none"
  std::string driver;           // "bridge", "host", "null"
  std::string created;          // RFC 3339
  std::string subnet, gateway;  // "172.18.0.0/16", "172.18.0.1"; empty for host and none
  std::string bridge;           // interface name on the host
};

/// A container's place in one network. Survives the engine; gone after `release`.
struct Endpoint {
  std::string id, network_id, network_name;
  std::string namespace_path;  // to join: "<run root>/netns/<container id>"; empty for "host"
  std::string address;         // "172.18.0.2", empty where the network has none
  int prefix_length = 0;
  std::string gateway, mac_address;
  std::string host_interface;  // the veth's end on the host
};

struct NetworkStoreOptions {
  std::filesystem::path run_root;  // namespaces are kept at <run_root>/netns/<container id>
  std::string instance;            // short name in kernel objects, [a-z0-9]{1,8}
  std::string bridge_subnet;  // "" : the first of 172.17..31.0.0/16, 192.168.x.0/20 that no host route or other instance uses
  int mtu = 1500;
};

class NetworkStore {
 public:
  /// Cheap: reads state; the bridge and the firewall table are made at first use (`connect`) and checked for being there still.
  NetworkStore(const NetworkStoreOptions& options, Database& database);
  ~NetworkStore();

  std::vector<NetworkInfo> list();
  /// By name or unique id prefix; "default" is "bridge". Throws kNotFound "network <name> not found".
  NetworkInfo find(const std::string& name_or_id);

  /// Makes namespace, veth and address for a container. "none": a namespace with loopback up only. "host": nothing.
  /// On failure nothing is left.
  Endpoint connect(const std::string& container_id, const std::string& network);
  /// Undoes `connect`: the address is free for others once this returns. Idempotent, also for what a crash left.
  void release(const std::string& container_id);
  std::optional<Endpoint> endpoint(const std::string& container_id);
  /// At start: releases every endpoint whose container `is_alive` denies; repairs bridge and firewall where endpoints live.
  void recover(const std::function<bool(const std::string& container_id)>& is_alive);
  /// Removes bridge and firewall table of this instance where no endpoint is left (at shutdown, in tests).
  void remove_unused();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::network
