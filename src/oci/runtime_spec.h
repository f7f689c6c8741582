// The OCI runtime specification 1.1 (opencontainers/runtime-spec, config.md and config-linux.md) as data: what a container's
// process is and what stands around it. Pure data and parsing: no system calls.
//
// Parsing is strict where the wall depends on it: a property that this project does not implement and that would change
// confinement is refused with kNotSupported naming it, never dropped (see runtime_spec.cc for the list).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::oci {

struct Rlimit {
  std::string type;  // "RLIMIT_NOFILE"
  uint64_t soft = 0;
  uint64_t hard = 0;
};

struct Capabilities {  // names as in capabilities(7): "CAP_CHOWN"
  std::vector<std::string> bounding, effective, inheritable, permitted, ambient;
};

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::optional<mode_t> umask;
  std::vector<gid_t> additional_gids;
  // In place of the ids, where only the container's own kernel can read its root: "name|uid[:group|gid]" and names of groups,
  // looked up inside (user_lookup.h), with the home folder for an environment that has none. `username` is the specification's
  // own word (there for Windows); `additionalGroups` is ours.
  std::string username;
  std::vector<std::string> additional_groups;
};

struct ConsoleSize {
  uint16_t height = 0;  // rows
  uint16_t width = 0;   // columns
};

struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;  // "NAME=value"
  std::string cwd = "/";
  std::optional<Capabilities> capabilities;  // absent: none at all
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<int> oom_score_adj;
};

struct Mount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

struct Namespace {
  std::string type;  // "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"
  std::string path;  // empty: a new one
};

struct IdMapping {
  uint32_t container_id = 0;
  uint32_t host_id = 0;
  uint32_t size = 0;
};

struct Device {
  std::string path;
  char type = 'c';  // 'c', 'b', 'p' (fifo), 'u'
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<mode_t> file_mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

struct DeviceRule {  // linux.resources.devices; in order, the last match wins
  bool allow = false;
  char type = 'a';                      // 'a', 'b', 'c'
  std::optional<int64_t> major, minor;  // absent: any
  std::string access;                   // of "rwm"
};

struct Resources {  // absent: not set, inherited from the parent cgroup. Sizes in bytes, -1 is unlimited.
  std::vector<DeviceRule> devices;
  std::optional<int64_t> memory_limit, memory_reservation, memory_swap;  // memory_swap: memory plus swap, as in v1
  std::optional<uint64_t> memory_swappiness;
  std::optional<bool> disable_oom_killer;
  std::optional<uint64_t> cpu_shares;
  std::optional<int64_t> cpu_quota;  // microseconds per period
  std::optional<uint64_t> cpu_period;
  std::string cpuset_cpus, cpuset_mems;
  std::optional<int64_t> pids_limit;
  std::optional<uint16_t> blkio_weight;
  std::map<std::string, std::string> unified;  // cgroup v2 file -> value
};

struct SyscallArgument {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;
  std::string op;  // "SCMP_CMP_EQ" ...
};

struct SyscallRule {
  std::vector<std::string> names;
  std::string action;  // "SCMP_ACT_ALLOW" ...
  std::optional<uint32_t> errno_ret;
  std::vector<SyscallArgument> args;
};

struct Seccomp {
  std::string default_action;
  std::optional<uint32_t> default_errno_ret;
  std::vector<std::string> architectures;  // "SCMP_ARCH_X86_64"
  std::vector<std::string> flags;
  std::vector<SyscallRule> syscalls;
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<IdMapping> uid_mappings, gid_mappings;
  std::vector<Device> devices;
  std::string cgroups_path;  // relative to each controller's root: "/bulkhead/<id>"
  Resources resources;
  std::string rootfs_propagation;  // "private", "rprivate", "shared", "slave", ...
  std::optional<Seccomp> seccomp;
  std::map<std::string, std::string> sysctl;
  std::vector<std::string> masked_paths, readonly_paths;
  std::string mount_label;
};

struct Root {
  std::string path;  // absolute, or relative to the bundle
  bool readonly = false;
};

/// By its type or by its options: whoever writes a spec says the one or the other.
bool is_bind(const Mount& mount);

struct Spec {
  std::string oci_version = "1.1.0";
  Root root;
  Process process;
  std::string hostname, domainname;
  std::vector<Mount> mounts;
  std::map<std::string, std::string> annotations;
  Linux linux_;
};

/// Annotation of ours: "true" says that no link leads to the sources of the bind mounts, and that none may be followed to them.
inline constexpr const char* kExactSources = "org.bulkhead.exact-sources";
bool has_exact_sources(const Spec& spec);
/// Annotation of ours: paths that are made in the container's root where they are missing, one a line. One that ends with "/"
/// is a folder, any other an empty file.
inline constexpr const char* kMadePaths = "org.bulkhead.made-paths";
std::vector<std::string> made_paths(const Spec& spec);

/// Throws kInvalidArgument (not JSON, wrong types, missing required properties; names the property) or kNotSupported.
Spec parse_spec(std::string_view json_text);
Process parse_process(std::string_view json_text);
std::string to_json(const Spec& spec);
std::string to_json(const Process& process);
/// The canonical JSON of a seccomp section: equal sections give equal text. Key of the cache of compiled filters.
std::string to_json(const Seccomp& seccomp);
Seccomp parse_seccomp(std::string_view json_text);
Resources parse_resources(std::string_view json_text);
std::string to_json(const Resources& resources);

}  // namespace bulkhead::oci
