#include "oci/container_defaults.h"

#include <optional>
#include <utility>

namespace bulkhead::oci {

const std::vector<std::string>& default_capabilities() {
  static const std::vector<std::string> kDefault = {"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
                                                    "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
                                                    "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
                                                    "CAP_KILL",    "CAP_AUDIT_WRITE"};
  return kDefault;
}

std::vector<Mount> default_mounts() {
  return {
      {.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec", "nodev"}},
      {.destination = "/dev",
       .type = "tmpfs",
       .source = "tmpfs",
       .options = {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {.destination = "/dev/pts",
       .type = "devpts",
       .source = "devpts",
       .options = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}},
      {.destination = "/sys/fs/cgroup", .type = "cgroup", .source = "cgroup", .options = {"ro", "nosuid", "noexec", "nodev"}},
  };
}

Mount message_queue_mount() {
  return {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = {"nosuid", "noexec", "nodev"}};
}

Mount shared_memory_mount(int64_t size) {
  return {.destination = "/dev/shm",
          .type = "tmpfs",
          .source = "shm",
          .options = {"nosuid", "noexec", "nodev", "mode=1777", "size=" + std::to_string(size)}};
}

std::vector<Mount> name_file_mounts(const NameFiles& files) {
  std::vector<Mount> mounts;
  for (const auto& [target, source] :
       {std::pair{"/etc/resolv.conf", files.resolv_conf}, {"/etc/hostname", files.hostname}, {"/etc/hosts", files.hosts}}) {
    if (!source.empty()) {
      mounts.push_back({.destination = target, .type = "bind", .source = source, .options = {"rbind", "rprivate"}});
    }
  }
  return mounts;
}

bool is_name_file(const std::string& destination) {
  return destination == "/etc/resolv.conf" || destination == "/etc/hostname" || destination == "/etc/hosts";
}

std::vector<std::string> default_masked_paths() {
  return {"/proc/acpi",
          "/proc/asound",
          "/proc/interrupts",
          "/proc/kcore",
          "/proc/keys",
          "/proc/latency_stats",
          "/proc/sched_debug",
          "/proc/scsi",
          "/proc/timer_list",
          "/proc/timer_stats",
          "/sys/devices/virtual/powercap",
          "/sys/firmware"};
}

std::vector<std::string> default_readonly_paths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

std::vector<DeviceRule> default_device_rules() {
  constexpr int64_t kMemory = 1;
  constexpr int64_t kTerminal = 5;
  constexpr int64_t kPseudoTerminalSlave = 136;
  auto allow = [](char type, std::optional<int64_t> major, std::optional<int64_t> minor, const char* access) {
    return DeviceRule{.allow = true, .type = type, .major = major, .minor = minor, .access = access};
  };
  std::vector<DeviceRule> rules = {{.allow = false, .type = 'a', .major = {}, .minor = {}, .access = "rwm"},
                                   allow('c', std::nullopt, std::nullopt, "m"),
                                   allow('b', std::nullopt, std::nullopt, "m")};
  for (int64_t minor : {3, 5, 7, 8, 9}) {  // null, zero, full, random, urandom
    rules.push_back(allow('c', kMemory, minor, "rwm"));
  }
  for (int64_t minor : {0, 1, 2}) {  // tty, console, ptmx
    rules.push_back(allow('c', kTerminal, minor, "rwm"));
  }
  rules.push_back(allow('c', kPseudoTerminalSlave, std::nullopt, "rwm"));
  return rules;
}

std::map<std::string, std::string> default_network_sysctls() {
  return {{"net.ipv4.ip_unprivileged_port_start", "0"}, {"net.ipv4.ping_group_range", "0 2147483647"}};
}

}  // namespace bulkhead::oci
