// Conditions on what a request asks for several of: capabilities, mounts, devices, ports, namespaces. Written as
//
//   none            it asks for none
//   any             it asks for at least one
//   [A, B]          it asks for one of these at least (for paths: also for what lies in one, or holds one; links are followed)
//   {only: [A, B]}  all that it asks for is among these (for paths: is one, or lies in one); also where it asks for none
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/host_paths.h"
#include "policy/request.h"
#include "policy/yaml_tree.h"

namespace bulkhead::policy {

using AskedTexts = std::function<bool(const std::set<std::string>&)>;
using AskedPaths = std::function<bool(const std::set<std::string>&, HostPaths&)>;
using AskedPorts = std::function<bool(const std::vector<PortRange>&)>;

/// A capability's name, in any spelling, or "ALL". Throws with its place where there is none.
std::string capability_of(const YamlNode& node, const std::string& file);
/// Capabilities in any spelling; "ALL" stands for every one.
AskedTexts read_asked_capabilities(const YamlNode& node, const std::string& file, std::string_view what);
AskedPaths read_asked_paths(const YamlNode& node, const std::string& file, std::string_view what);
/// Each one of `allowed`.
AskedTexts read_asked_words(const YamlNode& node, const std::string& file, std::string_view what,
                            const std::set<std::string>& allowed);
AskedPorts read_asked_ports(const YamlNode& node, const std::string& file, std::string_view what);

}  // namespace bulkhead::policy
