#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <array>
#include <string_view>
#include <utility>

#include "linux/capability.h"
#include "linux/seccomp.h"
#include "runner/planner.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::runner {

namespace {

int resource_of(const std::string& type) {
  static constexpr std::array<std::pair<std::string_view, int>, 16> kResources{{
      {"RLIMIT_AS", RLIMIT_AS},
      {"RLIMIT_CORE", RLIMIT_CORE},
      {"RLIMIT_CPU", RLIMIT_CPU},
      {"RLIMIT_DATA", RLIMIT_DATA},
      {"RLIMIT_FSIZE", RLIMIT_FSIZE},
      {"RLIMIT_LOCKS", RLIMIT_LOCKS},
      {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
      {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
      {"RLIMIT_NICE", RLIMIT_NICE},
      {"RLIMIT_NOFILE", RLIMIT_NOFILE},
      {"RLIMIT_NPROC", RLIMIT_NPROC},
      {"RLIMIT_RSS", RLIMIT_RSS},
      {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
      {"RLIMIT_RTTIME", RLIMIT_RTTIME},
      {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
      {"RLIMIT_STACK", RLIMIT_STACK},
  }};
  for (const auto& [name, resource] : kResources) {
    if (name == type) {
      return resource;
    }
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a resource limit", type));
}

void plan_rlimits(Plan& plan, const std::vector<oci::Rlimit>& rlimits) {
  for (const oci::Rlimit& limit : rlimits) {
    if (limit.soft > limit.hard) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("the soft {} is above the hard one", limit.type));
    }
    plan.process.rlimits.push_back({resource_of(limit.type), {limit.soft, limit.hard}, plan.texts.keep(limit.type)});
  }
}

// PATH is the container's own; where it has none, what Docker assumes.
void plan_candidates(Plan& plan, const oci::Process& process) {
  const std::string& command = process.args.front();
  if (command.empty() || command.find('/') != std::string::npos) {
    plan.process.candidates.push_back(plan.texts.keep(command));
    return;
  }
  std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : process.env) {
    if (variable.starts_with("PATH=")) {
      path = std::string_view(variable).substr(5);
    }
  }
  while (!path.empty()) {
    size_t colon = path.find(':');
    std::string_view folder = path.substr(0, colon);
    if (folder.starts_with('/')) {  // never the working directory (Go's exec.ErrDot)
      plan.process.candidates.push_back(plan.texts.keep(fmt::format("{}/{}", folder, command)));
    }
    path.remove_prefix(colon == std::string_view::npos ? path.size() : colon + 1);
  }
}

void plan_streams(Plan& plan, std::array<UniqueFd, 3> streams) {
  for (size_t i = 0; i < streams.size(); ++i) {
    if (!streams[i]) {
      streams[i] = open_file("/dev/null", O_RDWR);
      plan.process.streams_null[i] = true;
    }
    if (streams[i].get() <= 2) {  // the child puts them there one after the other: none may be overwritten before its turn
      streams[i] = duplicate(streams[i].get());
    }
  }
  plan.process.streams = std::move(streams);
}

const char* apparmor_text(Plan& plan, const std::string& profile) {
  if (profile.empty()) {
    return nullptr;
  }
  std::string enabled;
  try {
    enabled = read_file("/sys/module/apparmor/parameters/enabled", 16);
  } catch (const Error&) {  // no such module
  }
  if (!enabled.starts_with('Y')) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("AppArmor profile '{}' is asked for, but this host has no AppArmor", profile));
  }
  return plan.texts.keep("exec " + profile);
}

}  // namespace

void plan_command(Plan& plan, const oci::Process& process) {
  ProcessPlan& out = plan.process;
  out.argv.clear();
  out.environment.clear();
  out.candidates.clear();
  if (process.args.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "'process.args' is empty");
  }
  for (const std::string& argument : process.args) {
    out.argv.push_back(plan.texts.keep(argument));
  }
  out.argv.push_back(nullptr);
  for (const std::string& variable : process.env) {
    out.environment.push_back(plan.texts.keep(variable));
  }
  out.environment.push_back(nullptr);
  plan_candidates(plan, process);
  out.candidates.push_back(nullptr);
  if (out.shared) {
    out.shared->put(out.candidates, out.argv, out.environment);
  }
}

void plan_process(Plan& plan, const oci::Process& process, const std::optional<linux::SeccompFilter>& seccomp,
                  std::array<UniqueFd, 3> streams) {
  ProcessPlan& out = plan.process;
  if (!process.selinux_label.empty()) {
    throw Error(ErrorCode::kNotSupported, "'process.selinuxLabel' is not supported");
  }
  plan_command(plan, process);
  out.cwd = plan.texts.keep(process.cwd.empty() ? "/" : process.cwd);
  if (!process.user.username.empty() || !process.user.additional_groups.empty()) {
    throw Error(ErrorCode::kNotSupported, "'process.user.username': a process on this kernel is given by its ids");
  }
  out.uid = process.user.uid;
  out.gid = process.user.gid;
  out.groups = process.user.additional_gids;
  out.umask = process.user.umask.value_or(0022);
  if (const auto& sets = process.capabilities) {
    using linux::capability_mask;
    out.capabilities = {.bounding = capability_mask(sets->bounding),
                        .effective = capability_mask(sets->effective),
                        .inheritable = capability_mask(sets->inheritable),
                        .permitted = capability_mask(sets->permitted),
                        .ambient = capability_mask(sets->ambient)};
  }
  plan_rlimits(plan, process.rlimits);
  out.no_new_privileges = process.no_new_privileges;
  out.apparmor = apparmor_text(plan, process.apparmor_profile);
  if (seccomp) {
    out.seccomp = seccomp->program;
    out.seccomp_flags = seccomp->flags;
  }
  out.terminal = process.terminal;
  if (process.console_size) {
    out.rows = process.console_size->height;
    out.columns = process.console_size->width;
  }
  if (!process.terminal) {
    plan_streams(plan, std::move(streams));
  }
}

}  // namespace bulkhead::runner
