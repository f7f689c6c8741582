#include "sandbox/vm/vm_start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <string>
#include <utility>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "sandbox/vm/adopted.h"
#include "sandbox/vm/create_request.h"
#include "sandbox/vm/entropy.h"
#include "sandbox/vm/keeper_client.h"
#include "sandbox/vm/tap.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"
#include "support/sparse_copy.h"
#include "support/time.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

void fill(wire::Network& network, const GuestLink& link) {
  network.set_mac_address(link.mac_address);
  network.set_mtu(link.mtu);
  for (const GuestAddress& each : link.addresses) {
    wire::Address& address = *network.add_addresses();
    address.set_address(each.bytes);
    address.set_prefix_length(each.prefix_length);
  }
  for (const GuestRoute& each : link.routes) {
    wire::Route& route = *network.add_routes();
    route.set_destination(each.destination);
    route.set_prefix_length(each.prefix_length);
    route.set_gateway(each.gateway);
  }
}

struct Disk {
  UniqueFd file;
  uint64_t size = 0;
};

Disk open_disk(const std::filesystem::path& path, int flags) {
  Disk disk{.file = open_file(path, flags)};
  struct stat status {};
  if (::fstat(disk.file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the disk '{}' is not a regular file", path.native()));
  }
  disk.size = static_cast<uint64_t>(status.st_size);
  return disk;
}

/// The attempts at one container's VM, one way after the other.
class Starter {
 public:
  Starter(const Configuration& configuration, const SandboxSpec& spec, const GuestSpec& guest, const linux::Cgroup& cgroup,
          const std::filesystem::path& staging)
      : configuration_(configuration),
        spec_(spec),
        guest_(guest),
        cgroup_(cgroup),
        staging_(staging),
        disks_(root_disks_of(spec.rootfs)),
        shape_(shape_of(configuration, spec)),
        keeper_(spec.cache_folder / kKeeperSocket) {}

  RunningVm run() {
    Machine::check(configuration_);
    find_network();
    RunningVm vm = start();
    vm.network = std::move(network_);
    return vm;
  }

 private:
  // A clone runs a kernel that booted already: its agent answers at once, or never. So does QEMU where it waited.
  static constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(10);

  RunningVm start() {
    if (can_use_keeper()) {
      KeeperRequest request = keeper_request();
      KeeperAnswer answer = ask(request, request.wanted);
      for (int tries = 0; std::holds_alternative<WarmMachine>(answer); ++tries) {
        bool hung = false;
        if (auto vm = attempt("a waiting VM", [&] { return take(std::get<WarmMachine>(std::move(answer)), hung); })) {
          return std::move(*vm);
        }
        request.container.clear();
        // One that hangs took all the patience that there is; the others may hang too.
        answer = ask(request, tries == 0 && !hung ? Wanted::kWarm : Wanted::kTemplate);
      }
      if (const auto* saved = std::get_if<Template>(&answer)) {
        bool is_broken = false;
        if (auto vm = attempt("a clone of the template", [&] { return clone(*saved, is_broken); })) {
          return std::move(*vm);
        }
        if (!saved->scratch) {
          request.container.clear();
        }
        if (is_broken) {
          ask(request, Wanted::kRemoval);
        }
      }
    }
    return boot();
  }

  bool can_use_keeper() const {
    return configuration_.start != Start::kCold && shape_.console_log == ConsoleLog::kNone &&
           open_disk(disks_.image, O_RDONLY).size == kDiskSize && open_disk(disks_.scratch, O_RDWR).size == kDiskSize;
  }

  KeeperRequest keeper_request() const {
    bool warm = configuration_.start == Start::kPool && guest_.shares.empty();
    KeeperRequest request = make_request(configuration_, shape_, warm ? Wanted::kWarm : Wanted::kTemplate);
    const auto& args = guest_.spec.process.args;
    request.blank = blank_identity(disks_.scratch);
    if (guest_.shares.empty() && !args.empty() && !request.blank.empty()) {
      request.image = {.disk = disks_.image, .identity = identity_of(disks_.image), .program = args[0]};
      request.container = make_prepared_request(guest_, spec_.io, spec_.cache_folder).SerializeAsString();
      constexpr size_t kMost = 64UL << 10;  // of a message to the keeper
      if (request.container.size() > kMost) {
        request.container.clear();
      }
    }
    return request;
  }

  KeeperAnswer ask(KeeperRequest request, Wanted wanted) const {
    request.wanted = wanted;
    try {
      return ask_keeper(keeper_, request);
    } catch (const Error& error) {
      log::warn("container {}: {}", spec_.id, error.message());
      return std::monostate();
    }
  }

  template <typename Way>
  std::optional<RunningVm> attempt(const char* what, Way way) const {
    try {
      return way();
    } catch (const std::exception& error) {
      log::warn("container {}: {} can't be used: {}", spec_.id, what, error.what());
      if (network_) {
        network_->undo();
      }
      return std::nullopt;
    }
  }

  /// `hung`: it failed by not answering.
  RunningVm take(WarmMachine warm, bool& hung) const {
    try {
      return take(std::move(warm));
    } catch (const Error& error) {
      hung = error.code() == ErrorCode::kDeadlineExceeded;
      throw;
    }
  }

  RunningVm take(WarmMachine warm) const {
    RunningVm vm;
    UniqueFd network_namespace = std::move(warm.network_namespace);
    UniqueFd prepared = std::move(warm.scratch);
    note_adopted(spec_.state_folder, warm.pid);
    vm.machine = Machine::adopt(std::move(warm), kPatience);
    // The host's kernel takes its time for the first (docs/decisions/0003); the guest does its part meanwhile.
    vm.enters_cgroup = std::async(std::launch::async, [&cgroup = cgroup_, pid = vm.machine->pid()] { cgroup.add(pid); });
    std::future<void> connected;
    if (network_) {
      connected = std::async(std::launch::async, [&network = *network_, elsewhere = std::move(network_namespace)]() mutable {
        network.reach_tap(std::move(elsewhere));
      });
    }
    vm.created = prepared.valid();
    if (!prepared) {
      vm.machine->change_image(open_disk(disks_.image, O_RDONLY).file);
      vm.machine->change_scratch(open_disk(disks_.scratch, O_RDWR).file);
    } else if (!link_over(prepared)) {
      vm.machine->stop();  // so that nothing is on its way to the disk
      copy_over(prepared);
      vm.machine->change_scratch(open_disk(disks_.scratch, O_RDWR).file);
      vm.machine->resume();
    }
    configure(vm, kPatience);
    if (connected.valid()) {
      connected.get();
    }
    vm.machine->set_patience(configuration_.boot_timeout);  // a later stop writes to the disk what is on its way there
    return vm;
  }

  // The container's disk, which nobody has mounted yet, becomes the one that a guest has mounted for it.

  /// That file itself gets the disk's name. False where it can't have one: it is in memory, or in another file system.
  bool link_over(const UniqueFd& prepared) const {
    std::filesystem::path unfinished = unfinished_disk();
    ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
    // open(2), O_TMPFILE: so is a file without a name given one.
    std::string file = fmt::format("/proc/self/fd/{}", prepared.get());
    if (::linkat(AT_FDCWD, file.c_str(), AT_FDCWD, unfinished.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return false;
    }
    exchange(unfinished);
    return true;
  }

  void copy_over(const UniqueFd& prepared) const {
    std::filesystem::path unfinished = unfinished_disk();
    ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
    UniqueFd disk = open_file(unfinished, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (::ftruncate(disk.get(), static_cast<off_t>(kDiskSize)) != 0) {
      throw system_error(fmt::format("size '{}'", unfinished.native()));
    }
    copy_sparse(open_file(fmt::format("/proc/self/fd/{}", prepared.get()), O_RDONLY).get(), disk.get());
    exchange(unfinished);
  }

  std::filesystem::path unfinished_disk() const {
    std::filesystem::path path = disks_.scratch;
    path += ".new";
    return path;
  }

  /// Both files change their names, and the old disk is removed then: a file that is renamed over another is written to the
  /// disk at once (ext4).
  void exchange(const std::filesystem::path& unfinished) const {
    if (::renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, disks_.scratch.c_str(), RENAME_EXCHANGE) != 0) {
      throw system_error(fmt::format("rename '{}'", unfinished.native()));
    }
  }

  /// `is_broken`: the template failed, and not what this container brings.
  RunningVm clone(const Template& saved, bool& is_broken) const {
    RunningVm vm;
    vm.created = saved.scratch.valid();
    if (vm.created) {
      copy_over(saved.scratch);
    }
    MachineRequest request = make_machine_request();
    try {
      vm.machine = Machine::clone(configuration_, std::move(request), saved);
      configure(vm, kPatience);
    } catch (const Error& error) {
      is_broken = error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kDeadlineExceeded ||
                  error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kDataLoss;
      throw;
    }
    return vm;
  }

  RunningVm boot() const {
    RunningVm vm;
    MachineRequest request = make_machine_request();
    vm.machine = Machine::boot(configuration_, std::move(request));
    configure(vm, configuration_.boot_timeout);
    return vm;
  }

  MachineRequest make_machine_request() const {
    MachineRequest request{.shape = shape_,
                           .image = open_disk(disks_.image, O_RDONLY).file,
                           .scratch = open_disk(disks_.scratch, O_RDWR).file,
                           .tap = {},
                           .shares = guest_.shares,
                           .staging = staging_,
                           .cgroup = &cgroup_};
    request.tap = network_ ? network_->make_tap() : make_idle_tap().file;
    return request;
  }

  /// Nothing where the container's network is a loopback only.
  void find_network() {
    if (!guest_.network_namespace.empty()) {
      network_ = std::make_unique<NetworkLink>(guest_.network_namespace);
      if (!network_->has_link()) {
        network_.reset();
      }
    }
  }

  void configure(RunningVm& vm, std::chrono::milliseconds patience) const {
    vm.session = std::make_unique<AgentSession>(vm.machine->take_agent_channel());
    wire::ConfigureRequest request;
    request.set_entropy(random_bytes(agent::kEntropySize));
    request.set_wall_clock_nanoseconds(now().time_since_epoch().count());
    request.set_hostname(guest_.spec.hostname.empty() ? spec_.id.substr(0, 12) : guest_.spec.hostname);
    if (network_) {
      fill(*request.mutable_network(), network_->guest());
    }
    if (vm.created) {
      *request.mutable_owner() = make_owner(guest_);
    }
    wire::Empty nothing;
    try {
      vm.session->call("Configure", request, nothing, patience);
    } catch (const Error& error) {
      throw error.code() == ErrorCode::kUnavailable
          ? Error(error.code(), "the VM ended as it started: " + vm.machine->why_lost())
          : error.wrap("start the VM");
    }
  }

  const Configuration& configuration_;
  const SandboxSpec& spec_;
  const GuestSpec& guest_;
  const linux::Cgroup& cgroup_;
  const std::filesystem::path& staging_;
  RootDiskPaths disks_;
  MachineShape shape_;
  std::filesystem::path keeper_;
  std::unique_ptr<NetworkLink> network_;  // null: the container has none
};

}  // namespace

MachineShape shape_of(const Configuration& configuration, const SandboxSpec& spec) {
  return {.accelerator = accelerator_of(configuration),
          .memory =
              machine_memory(spec.spec.linux_.resources.memory_limit, configuration.default_memory, configuration.boot.memory),
          .processors = configuration.processors,
          .console_log = configuration.console_log.empty() ? ConsoleLog::kNone : ConsoleLog::kFile,
          .devices = configuration.boot.devices};
}

RunningVm start_vm(const Configuration& configuration, const SandboxSpec& spec, const GuestSpec& guest,
                   const linux::Cgroup& cgroup, const std::filesystem::path& staging) {
  return Starter(configuration, spec, guest, cgroup, staging).run();
}

}  // namespace bulkhead::sandbox::vm
