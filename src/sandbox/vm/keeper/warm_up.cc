#include "sandbox/vm/keeper/warm_up.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <memory>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "oci/runtime_spec.h"
#include "sandbox/vm/guest_process.h"
#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

constexpr const char* kProgram = "/warm-up";

oci::Process make_process() {
  oci::Process process;
  process.args = {kProgram, agent::kWarmUpArgument};
  process.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=warm"};
  std::vector<std::string> all = {"CAP_CHOWN",      "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",     "CAP_MKNOD",
                                  "CAP_NET_RAW",    "CAP_SETGID",       "CAP_SETUID",           "CAP_SETFCAP",    "CAP_SETPCAP",
                                  "CAP_SYS_CHROOT", "CAP_KILL",         "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"};
  process.capabilities =
      oci::Capabilities{.bounding = all, .effective = all, .inheritable = {}, .permitted = all, .ambient = {}};
  return process;
}

/// What ordinary containers have.
oci::Spec make_spec() {
  oci::Spec spec;
  spec.root.path = "rootfs";
  spec.process = make_process();
  spec.mounts = {{.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec", "nodev"}},
                 {.destination = "/dev", .type = "tmpfs", .source = "tmpfs", .options = {"nosuid", "mode=755", "size=65536k"}},
                 {.destination = "/dev/pts",
                  .type = "devpts",
                  .source = "devpts",
                  .options = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
                 {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}},
                 {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = {"nosuid", "noexec", "nodev"}},
                 {.destination = "/dev/shm",
                  .type = "tmpfs",
                  .source = "shm",
                  .options = {"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}},
                 {.destination = kProgram, .type = "bind", .source = agent::kAgentProgram, .options = {"bind", "ro"}}};
  for (const char* type : {"pid", "ipc", "uts", "mount"}) {
    spec.linux_.namespaces.push_back({.type = type, .path = {}});
  }
  spec.linux_.namespaces.push_back({.type = "network", .path = agent::kNetwork});
  // Small, as the guest compiles it; the filters of containers come compiled.
  spec.linux_.seccomp =
      oci::Seccomp{.default_action = "SCMP_ACT_ALLOW",
                   .default_errno_ret = {},
                   .architectures = {"SCMP_ARCH_X86_64"},
                   .flags = {},
                   .syscalls = {{.names = {"kexec_load"}, .action = "SCMP_ACT_ERRNO", .errno_ret = 1, .args = {}}}};
  spec.linux_.masked_paths = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"};
  spec.linux_.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return spec;
}

struct Pipe {
  Pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw system_error("make a pipe");
    }
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read, write;
};

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

template <typename Request>
void set_streams(Request& request) {
  request.mutable_streams()->set_in(true);
  request.mutable_streams()->set_out(true);
}

}  // namespace

void warm_up(AgentSession& session, std::chrono::milliseconds timeout) {
  wire::Empty nothing;
  const auto call = [&](const char* method, const google::protobuf::MessageLite& request) {
    session.call(method, request, nothing, timeout);
  };
  Pipe in;
  Pipe out;
  auto init = std::make_shared<GuestProcess>(session, "", false,
                                             ProcessIo{.in = std::move(in.read), .out = std::move(out.write), .err = {}});
  wire::CreateRequest create;
  create.set_id("warm-up");
  create.set_spec(oci::to_json(make_spec()));
  set_streams(create);
  call("Create", create);
  init->begin();
  call("Start", nothing);

  Pipe exec_out;
  auto exec = std::make_shared<GuestProcess>(session, "warm-up", false,
                                             ProcessIo{.in = {}, .out = std::move(exec_out.write), .err = {}});
  wire::ExecRequest request;
  request.set_exec_id("warm-up");
  request.set_process(oci::to_json(make_process()));
  request.mutable_streams()->set_out(true);
  call("Exec", request);
  exec->begin();
  await(*exec, timeout);
  in.write.reset();  // the init reads to the end of its input
  await(*init, timeout);
  call("Release", nothing);
}

}  // namespace bulkhead::sandbox::vm
