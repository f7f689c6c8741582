#include "network/network_records.h"

#include <fmt/format.h>

#include "database/database.h"
#include "support/error.h"
#include "support/random.h"
#include "support/time.h"

namespace bulkhead::network {
namespace {

// UNIQUE is what keeps an address from being used twice, whatever the code above it does. NULLs are distinct: endpoints
// without an address don't collide.
constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS networks(
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, driver TEXT NOT NULL, created TEXT NOT NULL, bridge TEXT NOT NULL,
  subnet TEXT NOT NULL DEFAULT '', last_address INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS network_endpoints(
  container_id TEXT PRIMARY KEY, id TEXT NOT NULL, network_id TEXT NOT NULL REFERENCES networks(id),
  address INTEGER, link TEXT UNIQUE, UNIQUE(network_id, address));
)";

constexpr const char* kSelectEndpoint =
    "SELECT e.container_id, e.id, e.network_id, n.name, n.subnet, e.address, e.link FROM network_endpoints e "
    "JOIN networks n ON n.id = e.network_id";

constexpr size_t kLinkNameSize = 15;  // IFNAMSIZ without the NUL

NetworkRecords::Entry read_entry(const DatabaseRow& row, const std::filesystem::path& namespace_folder) {
  NetworkRecords::Entry entry{.container_id = row.text(0)};
  Endpoint& endpoint = entry.endpoint;
  endpoint.id = row.text(1);
  endpoint.network_id = row.text(2);
  endpoint.network_name = row.text(3);
  if (endpoint.network_name != "host") {
    endpoint.namespace_path = namespace_folder / entry.container_id;
  }
  if (!row.is_null(5)) {
    Subnet subnet = parse_subnet(row.text(4));
    auto address = static_cast<Ipv4>(row.integer(5));
    endpoint.address = to_string(address);
    endpoint.prefix_length = subnet.prefix_length;
    endpoint.gateway = to_string(gateway_of(subnet));
    endpoint.mac_address = mac_of(address);
    endpoint.host_interface = row.text(6);
  }
  return entry;
}

bool exists(Database& database, std::string_view sql, const std::vector<DatabaseValue>& values) {
  bool found = false;
  database.run(sql, values, [&](const DatabaseRow&) { found = true; });
  return found;
}

/// By chance, as the link of the container's last run may be on its way out under its own name still.
std::string free_link_name(Database& database, const std::string& prefix) {
  std::string name;
  do {
    name = (prefix + random_hex(kLinkNameSize / 2)).substr(0, kLinkNameSize);
  } while (exists(database, "SELECT 1 FROM network_endpoints WHERE link = ?", {name}));
  return name;
}

Ipv4 free_address(Database& database, const NetworkInfo& network) {
  int64_t previous = 0;
  database.run("SELECT last_address FROM networks WHERE id = ?", {network.id},
               [&](const DatabaseRow& row) { previous = row.integer(0); });
  auto address = next_address(parse_subnet(network.subnet), static_cast<Ipv4>(previous), [&](Ipv4 candidate) {
    return exists(database, "SELECT 1 FROM network_endpoints WHERE network_id = ? AND address = ?",
                  {network.id, static_cast<int64_t>(candidate)});
  });
  if (!address) {
    throw Error(ErrorCode::kResourceExhausted,
                fmt::format("no address is left in network '{}' ({}): remove containers that aren't needed", network.name,
                            network.subnet));
  }
  database.run("UPDATE networks SET last_address = ? WHERE id = ?", {static_cast<int64_t>(*address), network.id});
  return *address;
}

}  // namespace

NetworkRecords::NetworkRecords(Database& database, std::filesystem::path namespace_folder, const std::string& bridge)
    : database_(database), namespace_folder_(std::move(namespace_folder)) {
  database_.script(kSchema);
  database_.transaction([&] {
    struct Default {
      const char* name;
      const char* driver;
    };
    for (auto [name, driver] : {Default{"bridge", "bridge"}, Default{"host", "host"}, Default{"none", "null"}}) {
      database_.run("INSERT OR IGNORE INTO networks(id, name, driver, created, bridge) VALUES(?, ?, ?, ?, ?)",
                    {random_hex(32), std::string(name), std::string(driver), rfc3339(now()),
                     std::string(driver) == "bridge" ? bridge : std::string()});
    }
  });
}

std::vector<NetworkInfo> NetworkRecords::list() {
  std::vector<NetworkInfo> networks;
  database_.run(
      "SELECT id, name, driver, created, subnet, bridge FROM networks ORDER BY name", {}, [&](const DatabaseRow& row) {
        NetworkInfo network{
            .id = row.text(0), .name = row.text(1), .driver = row.text(2), .created = row.text(3), .subnet = row.text(4)};
        network.bridge = row.text(5);
        if (!network.subnet.empty()) {
          network.gateway = to_string(gateway_of(parse_subnet(network.subnet)));
        }
        networks.push_back(std::move(network));
      });
  return networks;
}

void NetworkRecords::set_subnet(const std::string& network_id, const Subnet& subnet) {
  database_.transaction([&] {
    if (exists(database_, "SELECT 1 FROM network_endpoints WHERE network_id = ?", {network_id})) {
      throw Error(ErrorCode::kConflict, "the bridge's subnet can't change while containers have addresses in it");
    }
    database_.run("UPDATE networks SET subnet = ?, last_address = 0 WHERE id = ?", {to_string(subnet), network_id});
  });
}

Endpoint NetworkRecords::add(const std::string& container_id, const NetworkInfo& network, const std::string& link_prefix) {
  std::optional<Endpoint> added;
  database_.transaction([&] {
    if (exists(database_, "SELECT 1 FROM network_endpoints WHERE container_id = ?", {container_id})) {
      throw Error(ErrorCode::kConflict, fmt::format("container '{}' is connected to a network already", container_id));
    }
    DatabaseValue address = nullptr;
    DatabaseValue link = nullptr;
    if (!network.subnet.empty()) {
      address = static_cast<int64_t>(free_address(database_, network));
      link = free_link_name(database_, link_prefix);
    }
    database_.run("INSERT INTO network_endpoints(container_id, id, network_id, address, link) VALUES(?, ?, ?, ?, ?)",
                  {container_id, random_hex(32), network.id, address, link});
    added = find(container_id);
  });
  return *added;
}

void NetworkRecords::remove(const std::string& container_id) {
  database_.run("DELETE FROM network_endpoints WHERE container_id = ?", {container_id});
}

std::optional<Endpoint> NetworkRecords::find(const std::string& container_id) {
  std::optional<Endpoint> endpoint;
  database_.run(fmt::format("{} WHERE e.container_id = ?", kSelectEndpoint), {container_id},
                [&](const DatabaseRow& row) { endpoint = read_entry(row, namespace_folder_).endpoint; });
  return endpoint;
}

std::vector<NetworkRecords::Entry> NetworkRecords::endpoints() {
  std::vector<Entry> entries;
  database_.run(kSelectEndpoint, {}, [&](const DatabaseRow& row) { entries.push_back(read_entry(row, namespace_folder_)); });
  return entries;
}

}  // namespace bulkhead::network
