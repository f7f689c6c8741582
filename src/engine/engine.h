// The engine: containers, from the request to the removed record. One instance owns one root folder (state that survives a
// reboot) and one run root (state that doesn't). Everything a user of the Engine API can do goes through here.
//
// Thread-safe: each call may come from its own thread and blocks until done; calls about one container wait for one another,
// calls about different ones don't. References are full ids, names, or unique id prefixes. Errors carry Docker's own words
// ("No such container: x"; the API layer adds nothing).
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "archive/file_request.h"
#include "engine/admission.h"
#include "engine/container.h"
#include "engine/events.h"
#include "engine/explanation.h"
#include "engine/statistics.h"
#include "kernels/catalogue.h"
#include "support/unique_fd.h"

namespace bulkhead::image {
class ImageStore;
}
namespace bulkhead::network {
class NetworkStore;
}

namespace bulkhead::engine {

struct EngineOptions {
  std::filesystem::path root, run_root;
  std::filesystem::path shim;         // containerd-shim-bulkhead-v2
  std::filesystem::path sealed_shim;  // the same from a read-only mount (task::StartShimRequest::sealed), or ""
  std::string cgroup_parent = "/bulkhead";
  std::vector<std::string> insecure_registries;
  std::string bridge_subnet;
  std::filesystem::path init_binary;  // for --init; "" : the first of the well-known places
  // The mode of a container that asks for none: "process", "hyperv", or "" where the kind of host decides; and where that was
  // set.
  std::string default_isolation, default_isolation_source;
  // How VMs are made, otherwise than by default: "kernel", "initramfs", "qemu", "accelerator" (sandbox/vm/configuration.h).
  std::map<std::string, std::string> vm_settings;
  unsigned warm_machines = 2;         // VMs that wait for a container; 0: none are prepared
  std::filesystem::path policy_file;  // "": none, but for the one in its usual place
};

struct CreateRequest {
  std::string name;  // "" : made up
  std::string platform;
  ContainerConfig config;
  HostConfig host_config;
  policy::Caller caller;
};

struct CreateResult {
  std::string id;
  std::vector<std::string> warnings;
};

struct AttachOptions {
  bool in = false, out = true, err = true;
};

/// A client's place at a container's streams. Made before the container runs or while it does.
class Attachment {
 public:
  virtual ~Attachment() = default;
  /// Polls readable once `take` will not block: the container runs, or never will under this attachment.
  virtual int ready() const = 0;
  /// The stream, as task::attach describes it (raw with a terminal, Docker's frames without); invalid where the start failed.
  virtual UniqueFd take() = 0;
};

/// Takes the bytes of an archive, piece by piece; throws where nobody wants them any more.
using ArchiveSink = std::function<void(std::string_view)>;
/// Gives up to `size` bytes of an archive, 0 at its end; throws where its source broke off.
using ArchiveSource = std::function<size_t(char* buffer, size_t size)>;

/// Who copies, as far as the engine has to know: that one is gone, or too slow for those who wait for the copy's end.
struct CopyClient {
  int descriptor = -1;       // POLLRDHUP: it has gone. Outlives the copy
  int stop_descriptor = -1;  // POLLIN: nobody is served any more. Outlives the copy
  /// From now on sink and source throw where the client moves no byte for `idle`, or where `interrupt` polls readable.
  std::function<void(std::optional<std::chrono::milliseconds> idle, int interrupt)> hurry;
};

struct ExtractOptions {
  archive::Overwrite overwrite = archive::Overwrite::kAnything;
  enum class Owner { kAsInArchive, kUserOfContainer };  // the latter only where the container has a user
  Owner owner = Owner::kAsInArchive;
};

enum class WaitCondition { kNotRunning, kNextExit, kRemoved };
struct WaitResult {
  int exit_code = 0;
  std::string error;
};

struct TopResult {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> processes;
};

/// One kind of wall on this host.
struct IsolationInfo {
  std::string mode;
  bool available = false;
  std::string reason;                           // why it is not available
  std::string accelerator, accelerator_reason;  // "kvm", "tcg", or "" where the wall is no machine
};

struct EngineInfo {
  std::string id, name;  // of this instance, of the host
  int containers = 0, running = 0, paused = 0, stopped = 0, images = 0;
  std::string kernel_version, operating_system, os_version, architecture, cgroup_version, cgroup_driver;
  std::string default_isolation, default_isolation_because;
  std::string host_kind, host_kind_because;  // "server" or "workstation"
  std::vector<IsolationInfo> isolations;
  int cpus = 0;
  int64_t memory = 0;
  std::filesystem::path root;
  std::vector<std::string> insecure_registries, security_options, warnings;
};

class Engine {
 public:
  /// Opens the state and finds again every container that lives, or ended meanwhile. Throws kConflict where another
  /// engine has this root.
  explicit Engine(EngineOptions options);
  /// An engine lives until its process ends: its threads wait at running containers.
  ~Engine();
  /// Before the process ends: removes what only an engine with containers needs (an unused bridge). Running containers go on.
  void shut_down();

  CreateResult create(const CreateRequest& request);
  std::vector<Container> list();
  Container inspect(const std::string& reference);
  /// kAlreadyDone where it runs. With kCommandNotFound and kCannotExecute (and any other failure) the container is "created"
  /// with exit code 127, 126 or 128 and the error, as in Docker.
  void start(const std::string& reference);
  /// Stop signal, then after `timeout` SIGKILL. kAlreadyDone where it doesn't run. No timeout: the container's own, else 10 s;
  /// negative: never kills.
  void stop(const std::string& reference, std::optional<int> timeout_seconds, const std::string& signal);
  void kill(const std::string& reference, const std::string& signal);
  void restart(const std::string& reference, std::optional<int> timeout_seconds, const std::string& signal);
  enum class Force { kNo, kYes };
  void remove(const std::string& reference, Force force);
  void rename(const std::string& reference, const std::string& name);
  void pause(const std::string& reference);
  void unpause(const std::string& reference);
  void resize(const std::string& reference, uint16_t rows, uint16_t columns);
  /// What is at a path inside a container. Of one that doesn't run too, which is given a wall of its mode for the moment: in a
  /// VM that takes as long as its start. kNotFound in Docker's words.
  archive::PathStat path_stat(const std::string& reference, const std::string& path, const CopyClient& client);
  /// The same, and a tar archive of it; `begin` comes before the first byte. Throws after some bytes where the archive could
  /// not be finished.
  void read_archive(const std::string& reference, const std::string& path, const CopyClient& client,
                    const std::function<void(const archive::PathStat&)>& begin, const ArchiveSink& sink);
  /// Unpacks a tar archive, compressed or not, into a folder inside a container. What was unpacked before an error stays.
  void write_archive(const std::string& reference, const std::string& path, const CopyClient& client,
                     const ExtractOptions& options, const ArchiveSource& read);
  /// What a container uses now; nullopt where it doesn't run.
  std::optional<ContainerStatistics> statistics(const std::string& reference);
  TopResult top(const std::string& reference, const std::string& ps_arguments);
  /// What is in force around these containers, or around all that run. kConflict where one that is named doesn't run; where it
  /// can't be measured the explanation says so. Each is stopped for some microseconds (facts/measure.h).
  Explanation explain(const std::vector<std::string>& references);
  /// Returns nullopt where `cancelled` came true first (asked about every 100 ms or sooner after a change). `registered` is
  /// called once the container was found and the condition is being watched: the API answers its headers then.
  std::optional<WaitResult> wait(const std::string& reference, WaitCondition condition, const std::function<void()>& registered,
                                 const std::function<bool()>& cancelled);
  std::unique_ptr<Attachment> attach(const std::string& reference, const AttachOptions& options);

  std::string exec_create(const std::string& reference, const ExecConfig& config);
  /// Starts it. Where it is attached, the stream as with `Attachment::take`; invalid where detached.
  UniqueFd exec_start(const std::string& exec_id, bool detach, bool tty,
                      std::optional<std::pair<uint16_t, uint16_t>> rows_columns);
  /// Blocks until a started exec has ended.
  Exec exec_wait(const std::string& exec_id);
  Exec exec_inspect(const std::string& exec_id);
  void exec_resize(const std::string& exec_id, uint16_t rows, uint16_t columns);

  /// The kernels that guests can boot; paths are of this host.
  std::vector<kernels::Entry> list_kernels();
  /// kPermissionDenied where `caller` is not root; the same for the removal.
  kernels::Entry add_kernel(const policy::Caller& caller, const std::string& name, const kernels::KernelFiles& files);
  /// kConflict where a container was made for it. Waits for the creates that are under way: they may have chosen it.
  void remove_kernel(const policy::Caller& caller, const std::string& name);

  image::ImageStore& images();
  network::NetworkStore& networks();
  /// The id of a container that uses the image, or "".
  std::string user_of_image(const std::string& image_id);
  EventBus& events();
  EngineInfo info();

  /// The policy file and whether it is in force.
  PolicyStatus policy_status();
  /// Reads the policy file again. What is wrong with it goes to the log.
  void reload_policy();
  /// Running containers that today's policy would refuse, or give another wall.
  std::vector<PolicyFinding> audit_policy();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::engine
