#include "sandbox/vm/keeper/example_container.h"

#include <string>
#include <utility>
#include <vector>

#include "agent/protocol/protocol.h"
#include "oci/container_defaults.h"
#include "sandbox/vm/entropy.h"
#include "support/time.h"

namespace bulkhead::sandbox::vm {
namespace {

constexpr const char* kEmpty = "/dev/null";

std::vector<oci::Mount> make_mounts() {
  std::vector<oci::Mount> mounts = oci::default_mounts();
  mounts.push_back(oci::message_queue_mount());
  mounts.push_back(oci::shared_memory_mount());
  for (oci::Mount& file : oci::name_file_mounts({.resolv_conf = kEmpty, .hostname = kEmpty, .hosts = kEmpty})) {
    mounts.push_back(std::move(file));
  }
  return mounts;
}

/// Of the default filter's kind and size: what it takes to load one is in its length.
oci::Seccomp make_seccomp() {
  oci::SyscallRule refused{.names = {}, .action = "SCMP_ACT_ERRNO", .errno_ret = 1, .args = {}};
  for (const char* name : {"acct",
                           "add_key",
                           "bpf",
                           "clock_adjtime",
                           "clock_settime",
                           "create_module",
                           "delete_module",
                           "fanotify_init",
                           "finit_module",
                           "fsconfig",
                           "fsmount",
                           "fsopen",
                           "fspick",
                           "get_mempolicy",
                           "init_module",
                           "ioperm",
                           "iopl",
                           "kcmp",
                           "kexec_file_load",
                           "kexec_load",
                           "keyctl",
                           "lookup_dcookie",
                           "mbind",
                           "mount",
                           "mount_setattr",
                           "move_mount",
                           "move_pages",
                           "name_to_handle_at",
                           "nfsservctl",
                           "open_by_handle_at",
                           "open_tree",
                           "perf_event_open",
                           "pivot_root",
                           "process_vm_readv",
                           "process_vm_writev",
                           "ptrace",
                           "query_module",
                           "quotactl",
                           "reboot",
                           "request_key",
                           "set_mempolicy",
                           "setdomainname",
                           "sethostname",
                           "setns",
                           "settimeofday",
                           "stime",
                           "swapoff",
                           "swapon",
                           "sysfs",
                           "umount",
                           "umount2",
                           "unshare",
                           "uselib",
                           "userfaultfd",
                           "ustat",
                           "vhangup",
                           "vm86",
                           "vm86old"}) {
    refused.names.emplace_back(name);
  }
  return {.default_action = "SCMP_ACT_ALLOW",
          .default_errno_ret = {},
          .architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"},
          .flags = {},
          .syscalls = {std::move(refused)}};
}

/// SECURITY: what a program of an image may do before there is a container: be loaded, and end. It makes no process and no
/// socket, and its root is read-only.
oci::Seccomp make_loading_seccomp() {
  oci::SyscallRule allowed{.names = {}, .action = "SCMP_ACT_ALLOW", .errno_ret = {}, .args = {}};
  for (const char* name : {"access",       "arch_prctl",     "brk",     "close",           "execve",          "exit",
                           "exit_group",   "fstat",          "futex",   "getegid",         "geteuid",         "getgid",
                           "getpid",       "getrandom",      "gettid",  "getuid",          "lseek",           "madvise",
                           "mmap",         "mprotect",       "mremap",  "munmap",          "newfstatat",      "openat",
                           "pread64",      "prlimit64",      "read",    "readlink",        "readlinkat",      "rseq",
                           "rt_sigaction", "rt_sigprocmask", "sendmsg", "set_robust_list", "set_tid_address", "sigaltstack",
                           "stat",         "uname"}) {
    allowed.names.emplace_back(name);
  }
  return {.default_action = "SCMP_ACT_KILL_PROCESS",
          .default_errno_ret = {},
          .architectures = {"SCMP_ARCH_X86_64"},
          .flags = {},
          .syscalls = {std::move(allowed)}};
}

}  // namespace

oci::Process example_process() {
  oci::Process process;
  process.user.username = "0";
  process.args = {kExampleProgram, agent::kWarmUpArgument};
  process.env = {std::string("PATH=") + oci::kDefaultPath, "HOSTNAME=warm"};
  const std::vector<std::string>& all = oci::default_capabilities();
  process.capabilities =
      oci::Capabilities{.bounding = all, .effective = all, .inheritable = {}, .permitted = all, .ambient = {}};
  process.oom_score_adj = 0;
  return process;
}

oci::Spec example_spec() {
  oci::Spec spec;
  spec.root.path = "rootfs";
  spec.process = example_process();
  spec.hostname = "warm";
  spec.mounts = make_mounts();
  for (const char* type : {"mount", "uts", "pid", "ipc", "cgroup"}) {
    spec.linux_.namespaces.push_back({.type = type, .path = {}});
  }
  spec.linux_.namespaces.push_back({.type = "network", .path = agent::kNetwork});
  spec.linux_.resources.devices = oci::default_device_rules();
  spec.linux_.sysctl = oci::default_network_sysctls();
  spec.linux_.seccomp = make_seccomp();
  spec.linux_.masked_paths = oci::default_masked_paths();
  spec.linux_.readonly_paths = oci::default_readonly_paths();
  return spec;
}

oci::Spec loading_spec(const std::string& program) {
  oci::Spec spec = example_spec();
  spec.process.args = {program};
  spec.process.capabilities = oci::Capabilities{};
  spec.process.no_new_privileges = true;
  spec.root.readonly = true;
  spec.linux_.seccomp = make_loading_seccomp();
  // SECURITY: memory that it touches stays with the host for as long as VMs of its kind are kept.
  spec.linux_.resources.memory_limit = 64L << 20;
  spec.linux_.resources.pids_limit = 16;
  return spec;
}

agent::wire::ConfigureRequest example_configuration() {
  agent::wire::ConfigureRequest request;
  request.set_entropy(random_bytes(agent::kEntropySize));
  request.set_wall_clock_nanoseconds(now().time_since_epoch().count());
  request.set_hostname("warm");
  agent::wire::Network& network = *request.mutable_network();
  network.set_mac_address("02:00:00:00:00:01");
  network.set_mtu(1500);
  agent::wire::Address& address = *network.add_addresses();
  address.set_address(std::string("\xc0\x00\x02\x02", 4));
  address.set_prefix_length(24);
  agent::wire::Route& route = *network.add_routes();
  route.set_gateway(std::string("\xc0\x00\x02\x01", 4));
  return request;
}

}  // namespace bulkhead::sandbox::vm
