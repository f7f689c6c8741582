// A container's record as the rest of the program sees it: a copy, taken at one moment. The engine owns the live object.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/container_config.h"
#include "engine/origins.h"
#include "network/network_store.h"
#include "policy/decision.h"
#include "policy/request.h"
#include "support/time.h"

namespace bulkhead::engine {

/// kStarting and kRemoving last for the moment of the call; kDead: removal failed half-way, may be tried again.
enum class Status { kCreated, kStarting, kRunning, kPaused, kRestarting, kExited, kRemoving, kDead };

/// Docker's word: "created", "running", "paused", "restarting", "exited", "removing", "dead". kStarting has none: a client is
/// shown Container::shown_status().
std::string_view name(Status status);

/// A bind mount or tmpfs as `inspect` shows it under Mounts.
struct MountView {
  std::string type, source, destination, mode, propagation;
  bool read_write = true;
};

/// What was asked of the policy when a container was made, and what it said.
struct PolicyRecord {
  policy::Request request;
  policy::Decision decision;
  Origins origins;  // what the decision is about
};

struct Container {
  std::string id, name;  // name without the leading '/'
  TimePoint created{};
  std::string path;  // the command in force: entrypoint and cmd joined
  std::vector<std::string> args;
  ContainerConfig config;  // merged with the image's defaults
  HostConfig host_config;  // isolation is the mode in force, never "default"
  std::string image_id;    // "sha256:..."
  std::vector<std::string> chain_ids;
  bool own_kernel = false;  // task::IsolationDescription, at create
  std::string accelerator;  // likewise
  std::vector<MountView> mounts;
  std::optional<PolicyRecord> policy;  // none: made before there were policies

  Status status = Status::kCreated;
  Status status_before_start = Status::kCreated;
  pid_t pid = 0;  // 0 unless running
  int exit_code = 0;
  bool out_of_memory = false;
  std::string error;
  std::optional<TimePoint> started_at, finished_at;
  int restart_count = 0;
  bool stopped_by_user = false;

  std::string resolv_conf_path, hostname_path, hosts_path, log_path;
  std::string lower_folders, upper_folder, work_folder;  // the last two are empty where it has a disk
  std::string disk;                                      // with a kernel of its own: what the container wrote
  std::optional<network::Endpoint> endpoint;
  std::vector<std::string> exec_ids;

  /// As in Docker, what is being started is shown as what it was until it runs.
  Status shown_status() const { return status == Status::kStarting ? status_before_start : status; }
  bool is_running() const { return status == Status::kRunning || status == Status::kPaused; }
};

struct ExecConfig {
  bool attach_stdin = false, attach_stdout = false, attach_stderr = false, tty = false, privileged = false;
  std::vector<std::string> cmd, env;
  std::string user, working_dir, detach_keys;
  policy::Caller caller;
};

struct Exec {
  std::string id, container_id;
  ExecConfig config;
  bool running = false;
  bool started = false;
  std::optional<int> exit_code;
  pid_t pid = 0;
};

}  // namespace bulkhead::engine
