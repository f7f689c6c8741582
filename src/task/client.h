// A client of one shim: containerd's Task API (service containerd.task.v2.Task over ttrpc) as plain functions.
//
// Thread-safe: calls from several threads share one connection and may overlap. Every call blocks until the answer, or throws
// kUnavailable where the shim is gone, kDeadlineExceeded after `timeout`, or the shim's own error with its ErrorCode kept.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/time.h"
#include "support/unique_fd.h"
#include "task/statistics.h"

namespace bulkhead::facts {
class Wall;
}

namespace bulkhead::task {

struct Mount {
  std::string type, source, target;
  std::vector<std::string> options;
};

/// Where a process's streams go. Each is "" (nothing: /dev/null), the path of a FIFO (as containerd passes), or a URI:
/// "json-file:///absolute/path?max-size=BYTES&max-file=N" (out only: the shim writes the json-file log of both streams, and
/// serves attach), "attach:" (the shim serves attach only; nothing is kept).
struct Stdio {
  std::string in, out, err;
  bool terminal = false;
};

struct CreateRequest {
  std::string id;
  std::filesystem::path bundle;
  std::vector<Mount> rootfs;
  Stdio stdio;
};

struct ExitStatus {
  uint32_t code = 0;
  TimePoint time{};
};

enum class Status { kUnknown, kCreated, kRunning, kStopped, kPaused, kPausing };

struct State {
  Status status = Status::kUnknown;
  pid_t pid = 0;
  ExitStatus exit;
};

/// Details of the end of a container's init that the Task API has no word for; from the shim's <bundle>/exit.json.
struct ExitDetails {
  bool out_of_memory = false;
  std::string error;
};

/// What only the wall itself knows of a process that the host doesn't see.
struct InnerProcess {
  pid_t parent = 0;
  uid_t user = 0;
  TimePoint started{};
  uint64_t processor_time = 0;  // milliseconds
  uint64_t memory = 0;          // resident, bytes
  std::string terminal;         // "pts/0", or "" for none
  std::string command;
};

struct ProcessInfo {
  pid_t pid = 0;  // on the host, or with `inner` on the wall's own kernel
  std::optional<InnerProcess> inner;
};

class Client {
 public:
  static constexpr std::chrono::milliseconds kTimeout{60'000};

  /// Connects to the shim's socket.
  explicit Client(const std::filesystem::path& socket);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Creates the container's init from <bundle>/config.json; it waits for `start`. Returns its pid on the host (0: none).
  pid_t create(const CreateRequest& request);
  /// `exec_id` "" is the init everywhere below.
  pid_t start(const std::string& id, const std::string& exec_id);
  /// Registers an exec; `start` runs it. `process_json` is an OCI process object.
  void exec(const std::string& id, const std::string& exec_id, const std::string& process_json, const Stdio& stdio);
  /// Blocks without a deadline until the process has ended (at once where it has).
  ExitStatus wait(const std::string& id, const std::string& exec_id);
  State state(const std::string& id, const std::string& exec_id);
  void kill(const std::string& id, const std::string& exec_id, int signal_number, bool all);
  void resize(const std::string& id, const std::string& exec_id, uint16_t rows, uint16_t columns);
  void close_stdin(const std::string& id, const std::string& exec_id);
  void pause(const std::string& id);
  void resume(const std::string& id);
  void update(const std::string& id, const std::string& resources_json);
  std::vector<ProcessInfo> processes(const std::string& id);
  Statistics statistics(const std::string& id);
  /// What is in force around the container (sandbox::Sandbox::measure), its seccomp filters evaluated.
  void measure(const std::string& id, facts::Wall& wall);
  /// The container has ended, and what it wrote is to be thrown away: `remove` is then quicker.
  void discard();
  /// Removes an ended exec, or the ended container with its wall. Then `shutdown` ends the shim.
  ExitStatus remove(const std::string& id, const std::string& exec_id);
  void shutdown(const std::string& id);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

struct StartShimRequest {
  std::filesystem::path binary;  // containerd-shim-bulkhead-v2
  std::filesystem::path sealed;  // the same as /proc/self/fd/<n> on a read-only mount; "": the shim seals itself
  std::filesystem::path bundle;
  std::filesystem::path cache_folder;
  std::string id;
  std::string name_space;     // containerd's word: the instance
  std::filesystem::path log;  // the shim's own standard error; "" is /dev/null
};
/// Runs `binary ... start` in the bundle; the shim detaches itself. Returns the path of the socket to connect to.
std::filesystem::path start_shim(const StartShimRequest& request);
/// After a shim died: runs `binary ... delete`, which kills what is left of the container and removes its wall.
void delete_shim(const StartShimRequest& request);

/// What one kind of isolation can do, and whether it can be made on this host now.
struct IsolationDescription {
  bool host_network = false, host_pid = false, host_ipc = false, join_namespaces = false, host_devices = false;
  // Create takes an erofs and an ext4 disk as rootfs; users are looked up inside; capabilities and devices are that kernel's.
  bool own_kernel = false;
  bool available = false;
  std::string reason;                           // why it is not available, and what would mend it
  std::string accelerator, accelerator_reason;  // "kvm" or "tcg" for walls that are machines
};
/// Runs `binary isolations`: every kind that it has, by name. May take a second (machines are tried out).
std::map<std::string, IsolationDescription> describe_isolations(const std::filesystem::path& binary,
                                                                const std::filesystem::path& cache_folder);
ExitDetails read_exit_details(const std::filesystem::path& bundle);

/// Connects to <bundle>/attach.sock and asks for a process's streams; returns once the shim has agreed, so that nothing written
/// after a later `start` is lost. With a terminal the connection carries raw bytes both ways; without, the shim sends Docker's
/// frames ({stream type, 0, 0, 0, big-endian size} then bytes) and receives raw standard input. Shutting down the sending side
/// ends standard input where `StdinAtEnd::kClose`. The shim closes once the process has ended and everything was sent.
enum class StdinAtEnd { kKeep, kClose };
struct AttachRequest {
  std::filesystem::path bundle;
  std::string exec_id;
  bool in = false, out = true, err = true;
  StdinAtEnd stdin_at_end = StdinAtEnd::kKeep;
};
UniqueFd attach(const AttachRequest& request);

}  // namespace bulkhead::task
