// What Docker gives a container whose user asks for nothing else, as parts of a runtime spec. The engine builds on it, and what
// prepares for containers to come does as they will do. Pure data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::oci {

inline constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
inline constexpr int64_t kDefaultSharedMemory = int64_t{64} << 20;  // bytes, of /dev/shm

/// The files that tell a container names: paths on the host; one that is empty is left out.
struct NameFiles {
  std::string resolv_conf, hostname, hosts;
};

/// docs.docker.com, "Runtime privilege and Linux capabilities".
const std::vector<std::string>& default_capabilities();
/// /proc, /dev, /dev/pts, /sys and the cgroups, in the order in which they are to be made.
std::vector<Mount> default_mounts();
Mount message_queue_mount();
/// `size` in bytes.
Mount shared_memory_mount(int64_t size = kDefaultSharedMemory);
std::vector<Mount> name_file_mounts(const NameFiles& files);
/// Whether one of them belongs there.
bool is_name_file(const std::string& destination);
/// What is hidden and what can't be written of /proc and /sys, as the newest Docker has it, but for what differs from host to
/// host.
std::vector<std::string> default_masked_paths();
std::vector<std::string> default_readonly_paths();
/// Nothing, then what everyone may: mknod of any node (using it is another matter), and the harmless ones.
std::vector<DeviceRule> default_device_rules();
/// Of a network of the container's own, as Docker since 20.10: low ports and ping need no capability there.
std::map<std::string, std::string> default_network_sysctls();

}  // namespace bulkhead::oci
