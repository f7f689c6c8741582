// What stands in a container's /etc/hosts and /etc/resolv.conf, as Docker writes them. Pure.
#pragma once

#include <string>

#include "engine/container.h"

namespace bulkhead::engine {

/// `host_file`: the host's own /etc/hosts, where the container shares its network. Throws kInvalidArgument for a bad
/// --add-host.
std::string hosts_text(const Container& container, const std::string& host_file);
/// `host_file`: the host's resolv.conf. Servers on its loopback can't be reached from a network of the container's own, nor can
/// IPv6 ones: they are left out there; where none remains, public ones are named, as Docker does.
std::string resolv_conf_text(const HostConfig& host_config, const std::string& host_file);
/// True where the only server is systemd-resolved's stub, 127.0.0.53.
bool only_systemd_resolved(const std::string& resolv_conf);

}  // namespace bulkhead::engine
