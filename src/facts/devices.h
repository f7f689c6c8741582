// Which devices a container can open: the nodes below its /dev, and what the cgroup lets through (cgroup-v1/devices.rst).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::facts {

class Device;
class LocalFiles;
class Wall;

/// A line of devices.list: "c 1:3 rwm", "b *:* m", "a *:* rwm".
struct DeviceRule {
  char kind = 'a';
  std::string major, minor;  // "*": any
  std::string access;
};
/// Lines that are none are left out.
std::vector<DeviceRule> parse_device_rules(std::string_view text);

/// What of "rwm" the rules let through; everything of it is denied but for them.
std::string allowed_access(const Device& device, const std::vector<DeviceRule>& rules);

/// Adds the nodes below the folder `dev`, an open descriptor of `files`: some levels deep, links are not followed. `rules`
/// null: what the cgroup lets through can't be read.
void add_device_nodes(int dev, const LocalFiles& files, const std::vector<DeviceRule>* rules, Wall& wall);

}  // namespace bulkhead::facts
