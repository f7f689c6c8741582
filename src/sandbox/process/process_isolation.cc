#include "sandbox/process/process_isolation.h"

#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "linux/cgroup_layout.h"
#include "sandbox/process/process_sandbox.h"
#include "support/error.h"

namespace bulkhead::sandbox {

Capabilities ProcessIsolation::capabilities() const {
  return {.host_network = true, .host_pid = true, .host_ipc = true, .join_namespaces = true, .host_devices = true};
}

void ProcessIsolation::probe() {
  if (::geteuid() != 0) {
    throw Error(ErrorCode::kNotSupported, "process isolation needs root: run the engine as root");
  }
  const linux::CgroupLayout& layout = linux::cgroup_layout();
  if (layout.v1.empty() && layout.unified.empty()) {
    throw Error(ErrorCode::kNotSupported, "process isolation needs cgroups: mount cgroup2 on /sys/fs/cgroup");
  }
  // The youngest of the calls that the wall is built with: mount_setattr, Linux 5.12.
  mount_attr nothing{};
  if (::mount_setattr(-1, "", AT_EMPTY_PATH, &nothing, sizeof(nothing)) != 0 && errno == ENOSYS) {
    throw Error(ErrorCode::kNotSupported, "process isolation needs Linux 5.12 or newer (mount_setattr)");
  }
}

std::unique_ptr<Sandbox> ProcessIsolation::create(SandboxSpec spec) {
  const std::string id = spec.id;
  try {
    std::optional<linux::SeccompFilter> seccomp;
    if (spec.spec.linux_.seccomp) {
      seccomp = linux::load_seccomp(*spec.spec.linux_.seccomp, spec.cache_folder);
    }
    return std::make_unique<ProcessSandbox>(std::move(spec), std::move(seccomp));
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::kInternal, "create container '" + id + "': " + error.what());
  }
}

void ProcessIsolation::clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& /*state_folder*/) {
  linux::Cgroup cgroup = cgroup_of(id, spec);
  cgroup.kill_all();
  cgroup.remove();
}

}  // namespace bulkhead::sandbox
