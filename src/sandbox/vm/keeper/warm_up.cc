#include "sandbox/vm/keeper/warm_up.h"

#include <poll.h>

#include <functional>
#include <memory>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "oci/container_defaults.h"
#include "oci/runtime_spec.h"
#include "sandbox/vm/create_request.h"
#include "sandbox/vm/entropy.h"
#include "sandbox/vm/guest_process.h"
#include "sandbox/vm/guest_spec.h"
#include "support/error.h"
#include "support/pipe.h"
#include "support/time.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

constexpr const char* kProgram = "/warm-up";
constexpr const char* kEmpty = "/dev/null";

oci::Process make_process() {
  oci::Process process;
  process.user.username = "0";
  process.args = {kProgram, agent::kWarmUpArgument};
  process.env = {std::string("PATH=") + oci::kDefaultPath, "HOSTNAME=warm"};
  const std::vector<std::string>& all = oci::default_capabilities();
  process.capabilities =
      oci::Capabilities{.bounding = all, .effective = all, .inheritable = {}, .permitted = all, .ambient = {}};
  process.oom_score_adj = 0;
  return process;
}

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

/// What ordinary containers have: the more alike, the less is done for the first time when one comes.
oci::Spec make_spec() {
  oci::Spec spec;
  spec.root.path = "rootfs";
  spec.process = make_process();
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

/// The network of an example (RFC 5737): its packets go nowhere, as the tap of a VM that waits is down.
wire::ConfigureRequest make_configuration() {
  wire::ConfigureRequest request;
  request.set_entropy(random_bytes(agent::kEntropySize));
  request.set_wall_clock_nanoseconds(now().time_since_epoch().count());
  request.set_hostname("warm");
  wire::Network& network = *request.mutable_network();
  network.set_mac_address("02:00:00:00:00:01");
  network.set_mtu(1500);
  wire::Address& address = *network.add_addresses();
  address.set_address(std::string("\xc0\x00\x02\x02", 4));
  address.set_prefix_length(24);
  wire::Route& route = *network.add_routes();
  route.set_gateway(std::string("\xc0\x00\x02\x01", 4));
  return request;
}

void await(GuestProcess& process, std::chrono::milliseconds timeout) {
  pollfd ended{.fd = process.started().exit_descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, static_cast<int>(timeout.count())) != 1) {
    throw Error(ErrorCode::kDeadlineExceeded, "warm a VM up: its process doesn't end");
  }
  auto status = process.exit();
  if (!status || status->code != 0) {
    throw Error(ErrorCode::kInternal, "warm a VM up: its process fails: " + (status ? status->error : std::string()));
  }
}

using Call = std::function<void(const char* method, const google::protobuf::MessageLite& request)>;

Call caller(AgentSession& session, std::chrono::milliseconds timeout) {
  return [&session, timeout](const char* method, const google::protobuf::MessageLite& request) {
    wire::Empty nothing;
    session.call(method, request, nothing, timeout);
  };
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

void warm_up(AgentSession& session, const std::filesystem::path& cache_folder, std::chrono::milliseconds timeout) {
  Call call = caller(session, timeout);
  call("Configure", make_configuration());
  Pipe in;
  Pipe out;
  Pipe err;
  auto init = std::make_shared<GuestProcess>(
      session, "", false, ProcessIo{.in = std::move(in.read), .out = std::move(out.write), .err = std::move(err.write)});
  GuestSpec guest = make_guest_spec(make_spec());
  guest.spec.mounts.push_back(
      {.destination = kProgram, .type = "bind", .source = agent::kAgentProgram, .options = {"bind", "ro"}});
  wire::CreateRequest create = make_create_request("warm-up", guest, cache_folder);
  set_streams(create, *init);
  call("Create", create);
  init->begin();
  call("Start", wire::Empty());

  Pipe exec_out;
  auto exec = std::make_shared<GuestProcess>(session, "warm-up", false,
                                             ProcessIo{.in = {}, .out = std::move(exec_out.write), .err = {}});
  wire::ExecRequest request;
  request.set_exec_id("warm-up");
  request.set_process(oci::to_json(make_process()));
  set_streams(request, *exec);
  call("Exec", request);
  exec->begin();
  await(*exec, timeout);
  in.write.reset();  // the init reads to the end of its input
  await(*init, timeout);
  wire::ReleaseRequest release;
  release.set_again(true);
  call("Release", release);
}

void rehearse(AgentSession& session, const std::string& program, const std::filesystem::path& cache_folder,
              std::chrono::milliseconds timeout) {
  Call call = caller(session, timeout);
  call("Configure", make_configuration());
  Pipe out;
  Pipe err;
  auto init = std::make_shared<GuestProcess>(session, "", false,
                                             ProcessIo{.in = {}, .out = std::move(out.write), .err = std::move(err.write)});
  oci::Spec spec = make_spec();
  spec.process.args = {program};
  spec.process.capabilities = oci::Capabilities{};
  spec.process.no_new_privileges = true;
  spec.root.readonly = true;
  spec.linux_.seccomp = make_loading_seccomp();
  wire::CreateRequest create = make_create_request("warm-up", make_guest_spec(spec), cache_folder);
  set_streams(create, *init);
  call("Create", create);
  init->begin();
  try {
    call("Start", wire::Empty());
    constexpr int kPatience = 2000;  // milliseconds; Release ends what goes on
    pollfd ended{.fd = init->started().exit_descriptor, .events = POLLIN, .revents = 0};
    ::poll(&ended, 1, kPatience);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kDeadlineExceeded) {
      throw;  // the guest, not the program
    }
  }
  wire::ReleaseRequest release;
  release.set_again(true);
  release.set_keep_image(true);
  call("Release", release);
}

}  // namespace bulkhead::sandbox::vm
