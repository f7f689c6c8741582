#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "linux/cgroup_layout.h"
#include "linux/namespace.h"
#include "runner/mount_options.h"
#include "runner/planner.h"
#include "support/error.h"

namespace bulkhead::runner {

namespace {

void plan_namespaces(Plan& plan, const oci::Spec& spec) {
  ContainerPlan& container = *plan.container;
  uint64_t seen = 0;
  for (const oci::Namespace& each : spec.linux_.namespaces) {
    uint64_t flag = linux::namespace_flag(each.type);
    if ((seen & flag) != 0) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'linux.namespaces' names '{}' twice", each.type));
    }
    seen |= flag;
    if (each.type == "time") {
      throw Error(ErrorCode::kNotSupported, "time namespaces are not supported");
    }
    if (each.path.empty()) {
      if (flag == CLONE_NEWCGROUP) {
        container.own_cgroup_namespace = true;  // only once inside the cgroup: its root is where its maker is
      } else {
        plan.clone_flags |= flag;
      }
    } else if (flag == CLONE_NEWPID) {
      plan.pid_namespace = linux::open_namespace(each.path, flag);
    } else if (flag == CLONE_NEWNS || flag == CLONE_NEWUSER) {
      throw Error(ErrorCode::kNotSupported, fmt::format("joining an existing {} namespace is not supported", each.type));
    } else {
      container.joins.push_back({linux::open_namespace(each.path, flag), flag, plan.texts.keep(each.path)});
    }
  }
  if ((plan.clone_flags & CLONE_NEWNS) == 0) {
    throw Error(ErrorCode::kNotSupported, "a container without a mount namespace of its own is not supported");
  }
  container.user_namespace = (plan.clone_flags & CLONE_NEWUSER) != 0;
  if (container.user_namespace && (spec.linux_.uid_mappings.empty() || spec.linux_.gid_mappings.empty())) {
    throw Error(ErrorCode::kInvalidArgument, "a user namespace needs 'linux.uidMappings' and 'linux.gidMappings'");
  }
  if (container.user_namespace && (!container.joins.empty() || plan.pid_namespace)) {
    throw Error(ErrorCode::kNotSupported, "a new user namespace together with existing namespaces is not supported");
  }
}

void plan_names(Plan& plan, const oci::Spec& spec) {
  bool own = (plan.clone_flags & CLONE_NEWUTS) != 0;
  const auto name = [&](const std::string& text, const char* property) -> const char* {
    if (text.empty()) {
      return nullptr;
    }
    if (!own) {  // it would rename the host, or the container whose namespace this is
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' needs a new UTS namespace", property));
    }
    return plan.texts.keep(text);
  };
  plan.container->hostname = name(spec.hostname, "hostname");
  plan.container->domainname = name(spec.domainname, "domainname");
}

bool has_namespace(const oci::Spec& spec, std::string_view type) {
  return std::any_of(spec.linux_.namespaces.begin(), spec.linux_.namespaces.end(),
                     [&](const oci::Namespace& each) { return each.type == type; });
}

// SECURITY: only what belongs to a namespace of the container: any other would change the host.
void plan_sysctls(Plan& plan, const oci::Spec& spec) {
  static constexpr std::array<std::string_view, 8> kIpc{"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                                        "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                                        "kernel.shmmni", "kernel.shm_rmid_forced"};
  for (const auto& [name, value] : spec.linux_.sysctl) {
    std::string path = name;
    if (path.find('/') == std::string::npos) {
      std::replace(path.begin(), path.end(), '.', '/');
    } else {  // sysctl(8): with slashes the dots belong to names (net/ipv4/conf/eth0.1/...)
      path.erase(0, path.find_first_not_of('/'));
    }
    std::string dotted = path;
    std::replace(dotted.begin(), dotted.end(), '/', '.');
    bool ipc = dotted.starts_with("fs.mqueue.") || std::find(kIpc.begin(), kIpc.end(), dotted) != kIpc.end();
    bool allowed = (ipc && has_namespace(spec, "ipc")) || (dotted.starts_with("net.") && has_namespace(spec, "network")) ||
                   (dotted == "kernel.domainname" && has_namespace(spec, "uts"));
    if (!allowed || path.find("..") != std::string::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("sysctl '{}' is not in a namespace of the container", name));
    }
    const char* kept = plan.texts.keep(value);
    plan.container->sysctls.push_back({plan.texts.keep("sys/" + path), kept, value.size()});
  }
}

// Of the root alone, with or without the "r": the mounts inside say their own.
unsigned long propagation_of(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, unsigned long>, 4> kWords{
      {{"private", MS_PRIVATE}, {"slave", MS_SLAVE}, {"shared", MS_SHARED}, {"unbindable", MS_UNBINDABLE}}};
  std::string_view plain = word.starts_with('r') ? word.substr(1) : word;
  for (const auto& [name, flag] : kWords) {
    if (name == plain) {
      return flag;
    }
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'linux.rootfsPropagation' is not a propagation: '{}'", word));
}

void plan_rootfs(Plan& plan, const InitRequest& request) {
  const std::string& path = request.spec.root.path;
  std::filesystem::path rootfs = request.rootfs.empty() ? request.bundle / path : request.bundle / "rootfs";
  plan.container->rootfs = plan.texts.keep(rootfs.native());
  plan.container->readonly_root = request.spec.root.readonly;
  const std::string& propagation = request.spec.linux_.rootfs_propagation;
  plan.container->root_propagation = propagation.empty() ? 0 : propagation_of(propagation);
  for (const oci::Mount& mount : request.rootfs) {
    if (!mount.destination.empty() && mount.destination != "/") {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("a rootfs mount on '{}' inside the root is not supported", mount.destination));
    }
    auto [flags, data] = classic_mount_options(mount.options);
    if (mount.type == "bind") {
      flags |= MS_BIND;
    }
    plan.container->rootfs_mounts.push_back({plan.texts.keep(mount.type), plan.texts.keep(mount.source), flags,
                                             data.empty() ? nullptr : plan.texts.keep(std::move(data))});
  }
}

}  // namespace

std::unique_ptr<Plan> plan_init(InitRequest request) {
  const oci::Spec& spec = request.spec;
  auto plan = std::make_unique<Plan>();
  plan->container.emplace();
  plan_namespaces(*plan, spec);
  plan_names(*plan, spec);
  plan_sysctls(*plan, spec);
  plan_rootfs(*plan, request);
  plan_mounts(*plan, spec, request.cgroup);
  if (request.replaceable) {
    plan->process.shared = std::make_unique<SharedCommand>();
  }
  plan_process(*plan, spec.process, request.seccomp, std::move(request.streams));
  plan->cgroup_entrances = request.cgroup.open_entrances();
  plan->cgroup_folder = request.cgroup.open_folder();
  return plan;
}

std::unique_ptr<Plan> plan_exec(ExecRequest request) {
  auto plan = std::make_unique<Plan>();
  plan->exec.emplace();
  plan->exec->init_pidfd = request.init_pidfd;
  for (const oci::Namespace& each : request.spec.linux_.namespaces) {
    uint64_t flag = linux::namespace_flag(each.type);
    if (flag == CLONE_NEWPID) {  // entered by being born there
      plan->pid_namespace = UniqueFd(::fcntl(request.init_pidfd, F_DUPFD_CLOEXEC, 3));
    } else {
      plan->exec->namespaces |= flag;
    }
  }
  plan_process(*plan, request.process, request.seccomp, std::move(request.streams));
  plan->cgroup_entrances = request.cgroup.open_entrances();
  plan->cgroup_folder = request.cgroup.open_folder();
  return plan;
}

}  // namespace bulkhead::runner
