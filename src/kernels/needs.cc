#include "kernels/needs.h"

#include <array>
#include <string_view>

namespace bulkhead::kernels {
namespace {

struct Need {
  const char* option;
  const char* module;  // nullptr: it can't be one
};

constexpr std::array kNeeded = {Need{"CONFIG_PVH", nullptr},
                                Need{"CONFIG_BLK_DEV_INITRD", nullptr},
                                Need{"CONFIG_VIRTIO_MMIO", "virtio_mmio"},
                                Need{"CONFIG_VIRTIO_BLK", "virtio_blk"},
                                Need{"CONFIG_VIRTIO_NET", "virtio_net"},
                                Need{"CONFIG_VIRTIO_CONSOLE", "virtio_console"},
                                Need{"CONFIG_EROFS_FS", "erofs"},
                                Need{"CONFIG_EXT4_FS", "ext4"},
                                Need{"CONFIG_OVERLAY_FS", "overlay"},
                                Need{"CONFIG_DEVTMPFS", nullptr},
                                Need{"CONFIG_CGROUPS", nullptr},
                                Need{"CONFIG_MEMCG", nullptr},
                                Need{"CONFIG_CGROUP_PIDS", nullptr},
                                Need{"CONFIG_NAMESPACES", nullptr},
                                Need{"CONFIG_NET_NS", nullptr},
                                Need{"CONFIG_PID_NS", nullptr},
                                Need{"CONFIG_SECCOMP_FILTER", nullptr}};
constexpr std::array kForShares = {Need{"CONFIG_NET_9P_VIRTIO", "9pnet_virtio"}, Need{"CONFIG_9P_FS", "9p"}};

class Config {
 public:
  explicit Config(const std::string& text) : lines_("\n" + text + "\n") {}
  bool has_built_in(std::string_view option) const {
    return lines_.find("\n" + std::string(option) + "=y\n") != std::string::npos;
  }

 private:
  std::string lines_;
};

bool is_there(const Need& need, const Config& config, const ModuleTree& modules) {
  return config.has_built_in(need.option) || (need.module != nullptr && modules.has(need.module));
}

}  // namespace

Findings examine(const std::string& text, const ModuleTree& modules) {
  Config config(text);
  Findings findings;
  for (const Need& need : kNeeded) {
    if (!is_there(need, config, modules)) {
      findings.missing.emplace_back(need.option);
    }
  }
  for (const Need& need : kForShares) {
    if (!is_there(need, config, modules)) {
      findings.lacking.emplace_back(need.option);
    }
  }
  // A module that is loaded by the agent gets no parameters from the command line.
  bool by_command_line = config.has_built_in("CONFIG_VIRTIO_MMIO") && config.has_built_in("CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES");
  if (!by_command_line && !config.has_built_in("CONFIG_ACPI")) {
    findings.missing.emplace_back("CONFIG_ACPI (or CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES)");
  }
  findings.boot.devices = by_command_line ? Devices::kCommandLine : Devices::kAcpi;
  findings.boot.shares = findings.lacking.empty() ? Shares::kNineP : Shares::kNone;
  findings.boot.programs_386 = config.has_built_in("CONFIG_IA32_EMULATION") ? Programs386::kYes : Programs386::kNo;
  return findings;
}

const std::vector<std::string>& boot_modules() {
  static const std::vector<std::string> kNames = {"virtio_mmio", "virtio_console", "virtio_blk", "virtio_net",
                                                  "erofs",       "ext4",           "overlay"};
  return kNames;
}

const std::vector<std::string>& loadable_modules() {
  static const std::vector<std::string> kPatterns = {
      // folders of the host; programs for other processors
      "9p", "9pnet_virtio", "binfmt_misc",
      // file systems and disks of containers that may mount
      "fuse", "cuse", "squashfs", "loop",
      // interfaces and networks
      "af_packet", "tun", "tap", "veth", "dummy", "macvlan", "macvtap", "ipvlan", "vxlan", "wireguard", "bridge",
      "br_netfilter", "8021q", "packet_diag", "unix_diag", "inet_diag", "tcp_diag", "udp_diag", "netlink_diag",
      // firewalls
      "nf_*", "nft_*", "nfnetlink*", "x_tables", "xt_*", "ip_tables", "iptable_*", "ipt_*", "ip6_tables", "ip6table_*",
      "ip6t_*", "ip_set*",
      // traffic control
      "sch_htb", "sch_tbf", "sch_fq", "sch_fq_codel", "sch_ingress", "sch_netem", "cls_u32", "cls_bpf", "cls_cgroup",
      "act_mirred", "act_bpf",
      // cryptography for programs and for the above
      "af_alg", "algif_hash", "algif_skcipher", "crc32c_generic", "cbc", "aes_generic", "hmac", "sha256_generic"};
  return kPatterns;
}

}  // namespace bulkhead::kernels
