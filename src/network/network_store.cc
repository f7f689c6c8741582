#include "network/network_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "linux/netlink.h"
#include "network/bridge.h"
#include "network/link_reaper.h"
#include "network/links.h"
#include "network/namespaces.h"
#include "network/network_records.h"
#include "support/error.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace bulkhead::network {
namespace {

/// What all link names of an instance begin with. The bridge is this and a 0; containers' links are longer.
std::string link_prefix(const std::string& instance) {
  bool plain = std::all_of(instance.begin(), instance.end(),
                           [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0; });
  // SECURITY: the name becomes part of an nftables script.
  if (!plain || instance.empty() || instance.size() > 8) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("instance name '{}' must be 1 to 8 lower-case letters and digits", instance));
  }
  return "bh" + instance;
}

}  // namespace

struct NetworkStore::State {
  State(const NetworkStoreOptions& options, Database& database)
      : prefix(link_prefix(options.instance)),
        folder(options.run_root / "netns"),
        records(database, options.run_root / "netns", prefix + "0"),
        bridge(prefix + "0", "bulkhead_" + options.instance, options.bridge_subnet, options.mtu, records) {}

  void connect_bridge(const std::string& container_id, const Endpoint& endpoint);

  std::string prefix;
  NamespaceFolder folder;
  NetworkRecords records;
  Bridge bridge;
  LinkReaper reaper;
};

void NetworkStore::State::connect_bridge(const std::string& container_id, const Endpoint& endpoint) {
  reaper.forget(endpoint.host_interface);
  folder.create(container_id, [&](int descriptor) {
    linux::NetlinkSocket inside(NETLINK_ROUTE);
    bridge.add_link(endpoint, descriptor);
    configure_inside(inside, *parse_ipv4(endpoint.address), endpoint.prefix_length, *parse_ipv4(endpoint.gateway));
    bridge.wait_for_link(endpoint);
  });
}

NetworkStore::NetworkStore(const NetworkStoreOptions& options, Database& database)
    : state_(std::make_unique<State>(options, database)) {}

NetworkStore::~NetworkStore() = default;

std::vector<NetworkInfo> NetworkStore::list() { return state_->records.list(); }

NetworkInfo NetworkStore::find(const std::string& name_or_id) {
  std::string name = name_or_id == "default" ? "bridge" : name_or_id;
  auto networks = list();
  for (const NetworkInfo& network : networks) {
    if (network.name == name || network.id == name) {
      return network;
    }
  }
  std::vector<NetworkInfo> matches;
  std::copy_if(networks.begin(), networks.end(), std::back_inserter(matches),
               [&](const NetworkInfo& network) { return !name.empty() && network.id.starts_with(name); });
  if (matches.size() > 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("network {} is ambiguous ({} matches found on ID prefix)", name, matches.size()));
  }
  if (matches.empty()) {
    throw Error(ErrorCode::kNotFound, fmt::format("network {} not found", name_or_id));
  }
  return matches.front();
}

Endpoint NetworkStore::connect(const std::string& container_id, const std::string& network) {
  NetworkInfo info = find(network);
  state_->folder.path_of(container_id);  // checks the id before anything is remembered under it
  if (info.driver == "bridge") {
    info = state_->bridge.ensure();
  }
  if (info.driver != "host") {
    state_->folder.prepare();
  }
  // Remembered first, made second: after a crash in between, recovery knows what may be there.
  Endpoint endpoint = state_->records.add(container_id, info, state_->prefix);
  auto undo = ScopeGuard([&] {
    try {
      release(container_id);
    } catch (const Error& error) {
      log::warn("undo the network of container '{}': {}", container_id, error.message());
    }
  });
  if (info.driver == "bridge") {
    state_->connect_bridge(container_id, endpoint);
  } else if (info.driver == "null") {
    state_->folder.create(container_id, [](int) {
      linux::NetlinkSocket inside(NETLINK_ROUTE);
      set_loopback_up(inside);
    });
  }
  undo.dismiss();
  return endpoint;
}

void NetworkStore::release(const std::string& container_id) {
  auto endpoint = state_->records.find(container_id);
  state_->folder.remove(container_id);
  if (!endpoint) {
    return;
  }
  state_->records.remove(container_id);
  if (!endpoint->host_interface.empty()) {
    state_->reaper.remove_later(endpoint->host_interface);
  }
}

std::optional<Endpoint> NetworkStore::endpoint(const std::string& container_id) { return state_->records.find(container_id); }

void NetworkStore::recover(const std::function<bool(const std::string&)>& is_alive) {
  std::set<std::string> alive;
  std::set<std::string> links;
  for (const auto& entry : state_->records.endpoints()) {
    if (is_alive(entry.container_id)) {
      alive.insert(entry.container_id);
      links.insert(entry.endpoint.host_interface);
    } else {
      release(entry.container_id);
    }
  }
  for (const std::string& id : state_->folder.list()) {
    if (!alive.contains(id)) {
      state_->folder.remove(id);
    }
  }
  for (const std::string& port : state_->bridge.ports()) {
    if (!links.contains(port)) {
      state_->reaper.remove_later(port);
    }
  }
  links.erase("");
  if (!links.empty()) {
    state_->bridge.doubt();
    state_->bridge.ensure();
  }
}

void NetworkStore::remove_unused() {
  state_->reaper.drain();
  auto endpoints = state_->records.endpoints();
  bool bridge_used =
      std::any_of(endpoints.begin(), endpoints.end(), [](const auto& entry) { return !entry.endpoint.address.empty(); });
  if (!bridge_used) {
    state_->bridge.remove();
  }
  state_->folder.remove_folder();
}

}  // namespace bulkhead::network
