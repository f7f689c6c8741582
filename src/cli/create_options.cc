#include "cli/create_options.h"

namespace bulkhead::cli {
namespace {

void add_process_options(Options& options, CreateOptions& target) {
  options.list("-a,--attach", target.attach, "Attach to stdin, stdout or stderr");
  options.list("-e,--env", target.env, "Set environment variables");
  options.list("--env-file", target.env_file, "Read environment variables from a file");
  options.value("--entrypoint", target.entrypoint, "Replace the image's entrypoint");
  options.list("--group-add", target.group_add, "Additional groups to join");
  options.flag("--init", target.init, "Run an init that forwards signals and reaps processes");
  options.flag("-i,--interactive", target.interactive, "Keep standard input open even if not attached");
  options.value("--stop-signal", target.stop_signal, "Signal that stops the container");
  options.number("--stop-timeout", target.stop_timeout, "Seconds to wait before killing the container");
  options.flag("-t,--tty", target.tty, "Allocate a terminal");
  options.list("--ulimit", target.ulimit, "Limits of the process: name=soft[:hard]");
  options.value("-u,--user", target.user, "User name or id, with an optional group: user[:group]");
  options.value("-w,--workdir", target.workdir, "Working directory inside the container");
}

void add_container_options(Options& options, CreateOptions& target) {
  options.list("--annotation", target.annotation, "Add an annotation: key=value");
  options.value("--cidfile", target.cidfile, "Write the container's id to a file");
  options.value("--isolation", target.isolation, "The wall: default, process or hyperv");
  options.list("-l,--label", target.label, "Set metadata: key=value");
  options.list("--label-file", target.label_file, "Read labels from a file");
  options.value("--log-driver", target.log_driver, "Log driver: json-file or none");
  options.list("--log-opt", target.log_opt, "Options of the log driver: key=value");
  options.value("--name", target.name, "Name of the container");
  options.value("--platform", target.platform, "Platform of the image: os/architecture");
  options.value("--pull", target.pull, "Pull the image: always, missing or never");
  options.flag("-q,--quiet", target.quiet, "Don't show the pull's progress");
  options.value("--restart", target.restart, "Restart policy: no, always, unless-stopped, on-failure[:count]");
  options.flag("--rm", target.remove, "Remove the container when it ends");
  options.value("--runtime", target.runtime, "Runtime of the container");
}

void add_file_options(Options& options, CreateOptions& target) {
  options.list("--device", target.device, "Add a device of the host: /dev/host[:/dev/container][:rwm]");
  options.list("--device-cgroup-rule", target.device_cgroup_rule, "Add a rule to the allowed devices");
  options.list("--mount", target.mount, "Attach a bind mount or tmpfs: type=bind,source=/a,target=/b[,readonly]");
  options.flag("--read-only", target.read_only, "Mount the root file system read-only");
  options.value("--shm-size", target.shm_size, "Size of /dev/shm");
  options.list("--storage-opt", target.storage_opt, "Options of the container's storage: key=value");
  options.list("--tmpfs", target.tmpfs, "Mount a tmpfs: /path[:options]");
  options.list("-v,--volume", target.volume, "Bind mount: /host:/container[:options]");
  options.value("--volume-driver", target.volume_driver, "Volume driver");
  options.list("--volumes-from", target.volumes_from, "Mount the volumes of other containers");
}

void add_security_options(Options& options, CreateOptions& target) {
  options.list("--cap-add", target.cap_add, "Add capabilities");
  options.list("--cap-drop", target.cap_drop, "Drop capabilities");
  options.value("--cgroupns", target.cgroupns, "Cgroup namespace: host or private");
  options.value("--ipc", target.ipc, "IPC namespace");
  options.value("--pid", target.pid, "PID namespace");
  options.flag("--privileged", target.privileged, "Give the container the host's privileges");
  options.list("--security-opt", target.security_opt, "seccomp=FILE|unconfined, no-new-privileges, ...");
  options.list("--sysctl", target.sysctl, "Kernel settings: key=value");
  options.value("--userns", target.userns, "User namespace");
  options.value("--uts", target.uts, "UTS namespace");
}

void add_resource_options(Options& options, CreateOptions& target) {
  options.number("--blkio-weight", target.blkio_weight, "Weight of block input and output, 10 to 1000");
  options.value("--cgroup-parent", target.cgroup_parent, "Parent cgroup");
  options.number("--cpu-period", target.cpu_period, "CFS period in microseconds");
  options.number("--cpu-quota", target.cpu_quota, "CFS quota in microseconds");
  options.number("-c,--cpu-shares", target.cpu_shares, "CPU shares (relative weight)");
  options.value("--cpus", target.cpus, "Number of processors, such as 1.5");
  options.value("--cpuset-cpus", target.cpuset_cpus, "Processors to run on (0-3, 0,1)");
  options.value("--cpuset-mems", target.cpuset_mems, "Memory nodes to use (0-3, 0,1)");
  options.value("-m,--memory", target.memory, "Memory limit, such as 512m");
  options.value("--memory-reservation", target.memory_reservation, "Soft memory limit");
  options.value("--memory-swap", target.memory_swap, "Limit of memory plus swap; -1: unlimited swap");
  options.number("--memory-swappiness", target.memory_swappiness, "Swappiness, 0 to 100");
  options.flag("--oom-kill-disable", target.oom_kill_disable, "Disable the out-of-memory killer");
  options.number("--oom-score-adj", target.oom_score_adj, "Preference of the out-of-memory killer, -1000 to 1000");
  options.number("--pids-limit", target.pids_limit, "Limit of processes; -1: unlimited");
}

void add_network_options(Options& options, CreateOptions& target) {
  options.list("--add-host", target.add_host, "Add a line to /etc/hosts: name:address");
  options.list("--dns", target.dns, "DNS servers");
  options.list("--dns-option", target.dns_option, "DNS options");
  options.list("--dns-search", target.dns_search, "DNS search domains");
  options.value("--domainname", target.domainname, "NIS domain name");
  options.list("--expose", target.expose, "Expose a port");
  options.value("-h,--hostname", target.hostname, "Host name of the container");
  options.value("--ip", target.ip, "IPv4 address");
  options.list("--link", target.link, "Link to another container");
  options.value("--mac-address", target.mac_address, "MAC address");
  options.value("--network,--net", target.network, "Network: bridge, host or none");
  options.list("-p,--publish", target.publish, "Publish a port: [address:][host port:]container port[/protocol]");
  options.flag("-P,--publish-all", target.publish_all, "Publish all exposed ports");
}

}  // namespace

void add_create_options(Options& options, CreateOptions& target) {
  add_process_options(options, target);
  add_container_options(options, target);
  add_file_options(options, target);
  add_security_options(options, target);
  add_resource_options(options, target);
  add_network_options(options, target);
}

}  // namespace bulkhead::cli
