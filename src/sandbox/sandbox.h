// The seam: one wall around one container (or one pod), whatever it is made of.
//
// `Isolation` makes walls of one kind, `Sandbox` is one live wall. The shim owns both and calls them from its one thread;
// no call waits for the container's own progress. src/bin/ is the only place that names implementations. No caller asks
// which kind it has: where kinds differ, the difference is a field of `Capabilities`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "archive/file_request.h"
#include "oci/runtime_spec.h"
#include "support/time.h"
#include "support/unique_fd.h"

namespace bulkhead::facts {
class Wall;
}

namespace bulkhead::sandbox {

/// What a kind of wall can't do by its nature. Read before a create; each `false` is refused there with the reason.
struct Capabilities {
  bool host_network = false;
  bool host_pid = false;
  bool host_ipc = false;
  bool join_namespaces = false;  // another container's namespaces
  bool host_devices = false;
  // The wall brings a kernel: it is given its root as one erofs and one ext4 disk, which the host never mounts; names of users
  // are looked up inside; capabilities and devices are those of that kernel.
  bool own_kernel = false;
};

/// How this kind of wall would be made here and now, for `info` and `doctor`.
struct Availability {
  bool available = false;
  std::string reason;       // why not, and what would mend it
  std::string accelerator;  // "kvm" or "tcg"; "" where the wall isn't a machine
  std::string accelerator_reason;
};

/// The shim's ends stay with the shim: these are the container's ends, closed by the sandbox once handed over.
/// Not used where the process has a terminal. An invalid descriptor means /dev/null.
struct ProcessIo {
  UniqueFd in, out, err;
};

/// A process created inside the wall (the container's init, or an exec).
struct StartedProcess {
  pid_t pid = 0;     // on the host; of an init in a machine the machine's; 0 where the host has no such process
  UniqueFd console;  // the master side where process.terminal, else invalid. Read and write it; resize by `Sandbox::resize`
  int exit_descriptor = -1;  // owned by the sandbox; polls readable (POLLIN) once the process has ended: then call `reap`
};

struct ExitStatus {
  int code = 0;  // 0..255; 128 + n where signal n ended it; 255 where the wall itself was lost
  TimePoint time{};
  bool out_of_memory = false;  // the kernel's OOM killer took a process of this container (meaningful for the init)
  std::string error;           // why the wall was lost, else empty
};

struct Statistics {
  uint64_t memory_usage = 0, memory_limit = 0, memory_inactive_file = 0, memory_max_usage = 0;  // bytes
  uint64_t cpu_usage = 0, cpu_user = 0, cpu_system = 0;                                         // nanoseconds
  uint64_t periods = 0, throttled_periods = 0, throttled_time = 0;
  uint64_t pids_current = 0, pids_limit = 0;
};

/// A process of a container whose processes the host doesn't see.
struct ProcessEntry {
  pid_t pid = 0, parent = 0;  // as the wall's own kernel numbers them
  uid_t user = 0;
  TimePoint started{};
  uint64_t processor_time = 0;  // milliseconds
  uint64_t memory = 0;          // resident, bytes
  std::string terminal;         // "pts/0", or "" for none
  std::string command;          // arguments joined by blanks
};

/// A root filesystem or other mount that a caller of the shim passes (containerd's types.Mount).
struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;
};

struct SandboxSpec {
  std::string id;                // of the container; [a-zA-Z0-9_.-]+
  std::filesystem::path bundle;  // folder with config.json; root.path is relative to it
  oci::Spec spec;
  std::vector<Mount> rootfs;  // mounted on <bundle>/rootfs inside the container's own mount namespace, in order
  ProcessIo io;
  std::filesystem::path state_folder;  // where this wall may keep files that die with it; made by the caller
  std::filesystem::path cache_folder;  // shared by all walls of one instance (compiled seccomp filters); root only
};

enum class SignalScope { kProcess, kAll };

/// A request about the container's files that is being carried out, beside the caller's thread. Destroying it breaks it off.
class FileWork {
 public:
  virtual ~FileWork() = default;
  /// Polls readable (POLLIN) once it is done: then call `result`.
  virtual int descriptor() const = 0;
  /// What is at the path. Throws why it could not be done: as archive::work_on_files, or kUnavailable where the wall was lost.
  virtual archive::PathStat result() = 0;
};

class Sandbox {
 public:
  virtual ~Sandbox() = default;

  /// The init process, created and confined, waiting for `start`.
  virtual StartedProcess& init() = 0;
  /// Lets the init execute its command. Throws kCommandNotFound, kCannotExecute or the step that failed; the init has then
  /// ended.
  virtual void start() = 0;
  /// Runs another process inside the same wall. `exec_id` is unique among live execs of this sandbox. Errors as `start`.
  virtual StartedProcess& exec(const std::string& exec_id, const oci::Process& process, ProcessIo io) = 0;
  /// Collects a process whose exit_descriptor is readable; `exec_id` empty means the init. An exec is forgotten by this.
  virtual ExitStatus reap(const std::string& exec_id) = 0;
  /// kNotFound where that process has ended. kAll (init only): every process in the container.
  virtual void signal(const std::string& exec_id, int signal_number, SignalScope scope) = 0;
  virtual void resize(const std::string& exec_id, uint16_t rows, uint16_t columns) = 0;
  virtual void pause() = 0;
  virtual void resume() = 0;
  virtual void update(const oci::Resources& resources) = 0;
  virtual Statistics statistics() = 0;
  /// Process ids as seen from the host, of everything inside; empty where the host has none.
  virtual std::vector<pid_t> processes() = 0;
  /// The same where the host has none; else empty.
  virtual std::vector<ProcessEntry> inner_processes() { return {}; }
  /// Files of the container as its processes see them, mounts and all; also before `start`. `stream`: one end of a socket pair
  /// that the archive goes into or comes from (invalid for kStat); it ends with the work. Throws kConflict where the container
  /// has ended, or is paused and its wall can't reach the files then. Must not outlive the sandbox.
  virtual std::unique_ptr<FileWork> work_on_files(archive::FileRequest request, UniqueFd stream) = 0;
  /// What is in force around the container, asked of the kernels that know it. Seccomp filters come as programs, unevaluated.
  /// A fact that can't be had becomes a gap. Where the wall is a machine, what its guest says is in `inside`, cut to size.
  virtual void measure(facts::Wall& wall) = 0;
  /// After the init has ended: what the container wrote is to be thrown away, so `destroy` need not wait for it to reach a
  /// disk.
  virtual void discard() {}
  /// Kills what is left and removes everything that this wall made on the host (cgroups, devices, state). Safe to call twice.
  virtual void destroy() = 0;
};

class Isolation {
 public:
  virtual ~Isolation() = default;

  virtual Capabilities capabilities() const = 0;
  /// Throws kNotSupported saying why this kind of wall can't be made on this host now, and what would mend it.
  virtual void probe() = 0;
  /// What `probe` finds, as data. May take a second where a machine has to be tried out.
  virtual Availability availability();
  /// Builds the wall and creates the init inside it. On failure nothing is left behind.
  virtual std::unique_ptr<Sandbox> create(SandboxSpec spec) = 0;
  /// Removes what a sandbox of this id left on the host after its shim died without `destroy`. Idempotent.
  virtual void clean_up(const std::string& id, const oci::Spec& spec, const std::filesystem::path& state_folder) = 0;
};

}  // namespace bulkhead::sandbox
