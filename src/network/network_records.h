// What is remembered about networks and endpoints in the state database: the truth about who has which address.
//
// Thread-safe as `Database` is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "network/addresses.h"
#include "network/network_store.h"

namespace bulkhead {
class Database;
}

namespace bulkhead::network {

class NetworkRecords {
 public:
  /// Makes the tables and the three networks every instance has, where they aren't there. `bridge`: name of the link.
  NetworkRecords(Database& database, std::filesystem::path namespace_folder, const std::string& bridge);

  std::vector<NetworkInfo> list();
  /// Throws kConflict where endpoints live in another subnet.
  void set_subnet(const std::string& network_id, const Subnet& subnet);

  /// Takes the next free address of the network (none where it has no subnet) and a link name that nobody has, in one
  /// transaction. `link_prefix`: what the link's name begins with. Throws kConflict where the container has an endpoint,
  /// kResourceExhausted where no address is left.
  Endpoint add(const std::string& container_id, const NetworkInfo& network, const std::string& link_prefix);
  void remove(const std::string& container_id);
  std::optional<Endpoint> find(const std::string& container_id);
  struct Entry {
    std::string container_id;
    Endpoint endpoint;
  };
  std::vector<Entry> endpoints();

 private:
  Database& database_;
  std::filesystem::path namespace_folder_;
};

}  // namespace bulkhead::network
