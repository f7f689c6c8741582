#include "linux/device_nodes.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <set>

namespace bulkhead::linux {

std::optional<oci::Device> device_at(const std::filesystem::path& path, const std::string& inside) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0 || (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))) {
    return std::nullopt;
  }
  oci::Device device{.path = inside, .type = S_ISBLK(status.st_mode) ? 'b' : 'c'};
  device.major = major(status.st_rdev);
  device.minor = minor(status.st_rdev);
  device.file_mode = status.st_mode & 07777;
  device.uid = status.st_uid;
  device.gid = status.st_gid;
  return device;
}

/// All devices under a folder. What vanishes meanwhile is left out.
std::vector<oci::Device> devices_under(const std::filesystem::path& folder, const std::string& inside) {
  // File systems of their own in the container, and its terminal.
  static const std::set<std::string> kOwn = {"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"};
  std::vector<oci::Device> devices;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename();
    if (kOwn.contains(name)) {
      continue;
    }
    std::string target = fmt::format("{}/{}", inside, name);
    if (entry.symlink_status(ignored).type() == std::filesystem::file_type::directory) {
      auto below = devices_under(entry.path(), target);
      devices.insert(devices.end(), below.begin(), below.end());
    } else if (auto device = device_at(entry.path(), target)) {
      devices.push_back(*device);
    }
  }
  return devices;
}

}  // namespace bulkhead::linux
