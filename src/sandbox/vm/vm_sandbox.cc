#include "sandbox/vm/vm_sandbox.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "facts/bounds.h"
#include "facts/facts.pb.h"
#include "facts/measure.h"
#include "facts/open_files.h"
#include "sandbox/vm/create_request.h"
#include "sandbox/vm/vm_start.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"
#include "support/time.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

// Above the guest's memory: QEMU itself and, under TCG, the translated code.
constexpr int64_t kQemuMemory = 256L << 20;
constexpr int64_t kQemuThreads = 128;

/// What QEMU may take on the host. The container's own limits hold inside.
oci::Resources host_resources(const oci::Resources& asked, const MachineShape& shape) {
  oci::Resources host;
  host.memory_limit = static_cast<int64_t>(shape.memory) + kQemuMemory;
  host.pids_limit = kQemuThreads;
  host.cpu_shares = asked.cpu_shares;
  host.cpuset_cpus = asked.cpuset_cpus;
  host.cpuset_mems = asked.cpuset_mems;
  // SECURITY: what QEMU works with it was handed open, but for /dev/kvm.
  host.devices = {{.allow = false, .type = 'a', .major = {}, .minor = {}, .access = "rwm"}};
  if (shape.accelerator == Accelerator::kKvm) {
    constexpr int64_t kMisc = 10;
    constexpr int64_t kKvm = 232;
    host.devices.push_back({.allow = true, .type = 'c', .major = kMisc, .minor = kKvm, .access = "rw"});
  }
  return host;
}

}  // namespace

linux::Cgroup cgroup_of(const std::string& id, const oci::Spec& spec) {
  return linux::Cgroup(spec.linux_.cgroups_path.empty() ? "/bulkhead/" + id : spec.linux_.cgroups_path);
}

VmSandbox::VmSandbox(const Configuration& configuration, SandboxSpec spec)
    : configuration_(configuration),
      id_(spec.id),
      staging_(spec.state_folder / "vm-root"),
      cgroup_(cgroup_of(spec.id, spec.spec)),
      asked_(spec.spec.linux_.resources) {
  GuestSpec guest = make_guest_spec(spec.spec);
  auto undo = ScopeGuard([this] {
    try {
      destroy();
    } catch (const std::exception&) {  // the first error is the one to tell
    }
  });
  boot(guest, spec);
  create_container(guest, std::move(spec));
  init_->started().pid = machine_->pid();
  undo.dismiss();
}

VmSandbox::~VmSandbox() {
  try {
    destroy();
  } catch (const std::exception& error) {
    log::error("container {}: {}", id_, error.what());
  }
}

void VmSandbox::boot(const GuestSpec& guest, const SandboxSpec& spec) {
  make_folders(staging_, 0700);
  host_resources_ = host_resources(spec.spec.linux_.resources, shape_of(configuration_, spec));
  cgroup_.create(host_resources_);
  RunningVm vm = start_vm(configuration_, spec, guest, cgroup_, staging_);
  network_ = std::move(vm.network);
  machine_ = std::move(vm.machine);
  session_ = std::move(vm.session);
  created_ = vm.created;
  enters_cgroup_ = std::move(vm.enters_cgroup);
  std::vector<std::string> shares;
  for (size_t i = 0; i < guest.shares.size(); ++i) {
    shares.push_back(fmt::format("{}/{}", kJailShares, i));
  }
  mounts_ = facts::remember_mounts(machine_->pid(), shares);
}

void VmSandbox::create_container(const GuestSpec& guest, SandboxSpec spec) {
  init_ = std::make_shared<GuestProcess>(*session_, "", guest.spec.process.terminal, std::move(spec.io));
  if (!created_) {
    wire::CreateRequest request = make_create_request(id_, guest, spec.cache_folder);
    set_streams(request, *init_);
    try {
      call("Create", request);
    } catch (const Error& error) {
      throw Error(error.code(), name_sources(error.message(), guest));
    }
  }
  init_->begin();
}

void VmSandbox::call(const char* method, const google::protobuf::MessageLite& request, google::protobuf::MessageLite& response,
                     std::chrono::milliseconds timeout) {
  try {
    session_->call(method, request, response, timeout);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kDeadlineExceeded) {
      lost_reason_ = error.message();
      lose();  // an agent that hangs can't be asked to end its container
    }
    throw;
  }
}

void VmSandbox::call(const char* method, const google::protobuf::MessageLite& request) {
  wire::Empty nothing;
  call(method, request, nothing, configuration_.answer_timeout);
}

/// For a VM that stands still: done once it runs again.
void VmSandbox::call_later(const char* method, std::shared_ptr<google::protobuf::MessageLite> request) {
  session_->post(
      [this, method, request = std::move(request)] { session_->caller().call(method, *request, [](const agent::Answer&) {}); });
}

void VmSandbox::lose() {
  if (machine_) {
    machine_->kill();
  }
}

void VmSandbox::need_running() const {
  if (running_ == Running::kPaused) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} is paused", id_));
  }
}

GuestProcess& VmSandbox::find(const std::string& exec_id) {
  if (exec_id.empty()) {
    return *init_;
  }
  auto found = execs_.find(exec_id);
  if (found == execs_.end()) {
    throw Error(ErrorCode::kNotFound, fmt::format("no exec '{}' in container {}", exec_id, id_));
  }
  return *found->second;
}

void VmSandbox::start() {
  call("Start", wire::Empty());
  try {
    if (enters_cgroup_.valid()) {
      enters_cgroup_.get();  // the host's limits on QEMU hold from here on; the container's own, in the guest, always have
    }
    limit_processor_time();
  } catch (...) {
    lose();
    throw;
  }
}

/// Not before, which would only make the start slower. SECURITY: a guest is not relied on to hold its container to the limit;
/// beyond it there is half a processor, for what its kernel and QEMU do beside the container.
void VmSandbox::limit_processor_time() {
  constexpr uint64_t kUsualPeriod = 100'000;  // microseconds (kernel: Documentation/scheduler/sched-bwc.rst)
  int64_t quota = asked_.cpu_quota.value_or(0);
  if (quota == 0) {
    return;
  }
  uint64_t period = asked_.cpu_period.value_or(0) == 0 ? kUsualPeriod : *asked_.cpu_period;
  oci::Resources host;
  host.cpu_period = period;
  host.cpu_quota = quota < 0 ? -1 : quota + static_cast<int64_t>(period / 2);
  cgroup_.apply(host);
  host_resources_.cpu_period = host.cpu_period;
  host_resources_.cpu_quota = host.cpu_quota;
}

StartedProcess& VmSandbox::exec(const std::string& exec_id, const oci::Process& process, ProcessIo io) {
  if (exec_id.empty() || execs_.contains(exec_id)) {
    throw Error(ErrorCode::kConflict, fmt::format("exec '{}' exists in container {}", exec_id, id_));
  }
  if (init_ended_) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} is not running", id_));
  }
  need_running();
  oci::Process inside = process;
  inside.apparmor_profile.clear();  // as make_guest_spec
  inside.selinux_label.clear();
  auto started = std::make_shared<GuestProcess>(*session_, exec_id, process.terminal, std::move(io));
  wire::ExecRequest request;
  request.set_exec_id(exec_id);
  request.set_process(oci::to_json(inside));
  set_streams(request, *started);
  call("Exec", request);
  started->begin();
  return execs_.emplace(exec_id, std::move(started)).first->second->started();
}

ExitStatus VmSandbox::reap(const std::string& exec_id) {
  auto status = find(exec_id).exit();
  if (!status) {
    throw Error(ErrorCode::kConflict, fmt::format("the process of container {} has not ended", id_));
  }
  if (!status->error.empty()) {  // the wall is lost: say why, not how it was noticed
    if (lost_reason_.empty()) {
      lost_reason_ = machine_->why_lost();
    }
    status->error = lost_reason_;
  }
  if (exec_id.empty()) {
    init_ended_ = true;
  } else {
    execs_.erase(exec_id);
  }
  return *status;
}

void VmSandbox::signal(const std::string& exec_id, int signal_number, SignalScope scope) {
  if (find(exec_id).exit()) {
    throw Error(ErrorCode::kNotFound, fmt::format("the process of container {} has ended", id_));
  }
  if (session_->lost()) {
    return;  // its end is on its way
  }
  auto request = std::make_shared<wire::SignalRequest>();
  request->set_exec_id(exec_id);
  request->set_signal(signal_number);
  request->set_all(scope == SignalScope::kAll);
  if (running_ == Running::kPaused) {
    call_later("Signal", request);
    if (signal_number == SIGKILL) {
      resume();  // as the kernel thaws what is killed
    }
    return;
  }
  if (exec_id.empty() && signal_number == SIGKILL) {
    kill_init(*request);
  } else {
    call("Signal", *request);
  }
}

/// What must end ends: a guest that doesn't do it in time is ended as a whole.
void VmSandbox::kill_init(const google::protobuf::MessageLite& request) {
  wire::Empty nothing;
  try {
    call("Signal", request, nothing, configuration_.kill_timeout);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDeadlineExceeded) {
      throw;
    }
    log::warn("container {}: {}; its VM was ended", id_, error.message());
  }
}

void VmSandbox::resize(const std::string& exec_id, uint16_t rows, uint16_t columns) {
  if (!find(exec_id).has_terminal()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the process of container {} has no terminal", id_));
  }
  auto request = std::make_shared<wire::ResizeRequest>();
  request->set_exec_id(exec_id);
  request->set_rows(rows);
  request->set_columns(columns);
  if (running_ == Running::kPaused) {
    call_later("Resize", request);
  } else {
    call("Resize", *request);
  }
}

void VmSandbox::pause() {
  need_running();
  counted_at_pause_ = statistics();
  machine_->stop();
  running_ = Running::kPaused;
}

void VmSandbox::resume() {
  machine_->resume();
  running_ = Running::kRunning;
}

void VmSandbox::update(const oci::Resources& resources) {
  need_running();
  if (resources.memory_limit && *resources.memory_limit > 0) {
    throw Error(ErrorCode::kNotSupported, "the memory of a running VM can't be changed: create the container with --memory");
  }
  oci::Resources inside = resources;
  inside.cpuset_cpus.clear();
  inside.cpuset_mems.clear();
  wire::UpdateRequest request;
  request.set_resources(oci::to_json(inside));
  call("Update", request);
  oci::Resources host;
  host.cpu_shares = resources.cpu_shares;
  host.cpuset_cpus = resources.cpuset_cpus;
  host.cpuset_mems = resources.cpuset_mems;
  cgroup_.apply(host);
  host_resources_.cpu_shares = host.cpu_shares ? host.cpu_shares : host_resources_.cpu_shares;
  host_resources_.cpuset_cpus = host.cpuset_cpus.empty() ? host_resources_.cpuset_cpus : host.cpuset_cpus;
  host_resources_.cpuset_mems = host.cpuset_mems.empty() ? host_resources_.cpuset_mems : host.cpuset_mems;
  if (resources.cpu_quota || resources.cpu_period) {
    asked_.cpu_quota = resources.cpu_quota ? resources.cpu_quota : asked_.cpu_quota;
    asked_.cpu_period = resources.cpu_period ? resources.cpu_period : asked_.cpu_period;
    limit_processor_time();
  }
}

Statistics VmSandbox::statistics() {
  if (running_ == Running::kPaused && counted_at_pause_) {
    return *counted_at_pause_;  // nothing in it moves
  }
  need_running();
  wire::StatisticsResponse response;
  call("Statistics", wire::Empty(), response, configuration_.answer_timeout);
  return {.memory_usage = response.memory_usage(),
          .memory_limit = response.memory_limit(),
          .memory_inactive_file = response.memory_inactive_file(),
          .memory_max_usage = response.memory_max_usage(),
          .cpu_usage = response.cpu_usage(),
          .cpu_user = response.cpu_user(),
          .cpu_system = response.cpu_system(),
          .periods = response.periods(),
          .throttled_periods = response.throttled_periods(),
          .throttled_time = response.throttled_time(),
          .pids_current = response.pids_current(),
          .pids_limit = response.pids_limit()};
}

std::vector<ProcessEntry> VmSandbox::inner_processes() {
  need_running();
  wire::ProcessesResponse response;
  call("Processes", wire::Empty(), response, configuration_.answer_timeout);
  std::vector<ProcessEntry> found;
  for (const wire::Process& each : response.processes()) {
    // SECURITY: what a guest says may be anything; only its size matters here, and the answer's is bounded.
    found.push_back({.pid = static_cast<pid_t>(each.pid()),
                     .parent = static_cast<pid_t>(each.parent()),
                     .user = each.user(),
                     .started = TimePoint(TimePoint::duration(each.started())),
                     .processor_time = each.processor_time(),
                     .memory = each.memory(),
                     .terminal = each.terminal().substr(0, agent::kMaxCommand),
                     .command = each.command().substr(0, agent::kMaxCommand)});
  }
  return found;
}

namespace {

class GuestFileWork final : public FileWork {
 public:
  explicit GuestFileWork(std::shared_ptr<GuestProcess> work) : work_(std::move(work)) {}
  ~GuestFileWork() override { work_->abandon(); }
  int descriptor() const override { return work_->started().exit_descriptor; }
  archive::PathStat result() override { return work_->files(); }

 private:
  std::shared_ptr<GuestProcess> work_;
};

}  // namespace

std::unique_ptr<FileWork> VmSandbox::work_on_files(archive::FileRequest request, UniqueFd stream) {
  if (init_ended_) {
    throw Error(ErrorCode::kConflict, fmt::format("container {} is not running", id_));
  }
  if (running_ == Running::kPaused) {
    throw Error(
        ErrorCode::kConflict,
        fmt::format("container {} is paused, and its VM with it, which alone reaches its files: unpause it first", id_));
  }
  std::string id = fmt::format("files:{}", next_files_++);
  ProcessIo io;
  (request.kind == archive::FileRequest::Kind::kUnpack ? io.in : io.out) = std::move(stream);
  auto work = std::make_shared<GuestProcess>(*session_, id, false, std::move(io), GuestProcess::Unread::kClose);
  wire::FilesRequest message;
  message.set_id(id);
  message.set_kind(static_cast<uint32_t>(request.kind));
  message.set_path(request.path);
  message.set_same_kind(request.overwrite == archive::Overwrite::kSameKind);
  message.set_owner(request.owner);
  call("Files", message);
  work->begin();
  std::erase_if(files_, [](const auto& each) { return each.expired(); });
  files_.push_back(work);
  return std::make_unique<GuestFileWork>(std::move(work));
}

void VmSandbox::measure(facts::Wall& wall) {
  facts::measure({.kind = facts::Kind::kMachine, .init = machine_->pid(), .execs = {}, .cgroup = cgroup_, .mounts = mounts_},
                 wall);
  wall.set_resources(oci::to_json(host_resources_));
  facts::add_open_files(machine_->pid(), wall);
  bool has_kvm = std::any_of(wall.open_files().begin(), wall.open_files().end(),
                             [](const facts::OpenFiles& files) { return files.kind() == "kvm-vm"; });
  wall.set_accelerator(has_kvm ? "kvm" : "tcg");
  wall.set_accelerator_how(has_kvm ? "QEMU holds a virtual machine of KVM open"
                                   : "QEMU holds no virtual machine of KVM open: it translates the guest's instructions");
  try {
    measure_guest(*wall.mutable_inside());
  } catch (const Error& error) {
    wall.mutable_inside()->Clear();
    facts::Gap& gap = *wall.mutable_inside()->add_gaps();
    gap.set_what("all");
    gap.set_why(error.message());
  }
}

void VmSandbox::measure_guest(facts::Wall& wall) {
  need_running();
  call("Measure", wire::Empty(), wall, configuration_.answer_timeout);
  // SECURITY: it is the guest's word, and may be anything.
  facts::bound(wall);
}

/// What the container wrote reaches its disk; a guest that doesn't do it in time is ended all the same.
void VmSandbox::release_guest() {
  if (!session_ || session_->lost()) {
    return;
  }
  try {
    if (running_ == Running::kPaused) {
      resume();
    }
    wire::Empty nothing;
    session_->call("Release", wire::ReleaseRequest(), nothing, configuration_.answer_timeout);
  } catch (const Error& error) {
    log::warn("container {}: its disk was not unmounted: {}", id_, error.message());
  }
}

void VmSandbox::destroy() {
  if (destroyed_) {
    return;
  }
  if (enters_cgroup_.valid()) {
    enters_cgroup_.wait();
  }
  if (!discarded_) {
    release_guest();
  }
  if (machine_) {
    machine_->begin_end();
  }
  if (session_) {
    session_->stop();  // then nobody but this thread uses what its loop watched
  }
  if (init_) {
    init_->close();
  }
  for (auto& [exec_id, process] : execs_) {
    process->close();
  }
  for (auto& each : files_) {
    if (auto work = each.lock()) {
      work->close();
    }
  }
  execs_.clear();
  session_.reset();
  if (network_) {
    network_->undo_later();  // QEMU's end would wait for its tap's
  }
  machine_.reset();
  network_.reset();
  cgroup_.kill_all();
  cgroup_.remove();
  std::error_code ignored;
  std::filesystem::remove(staging_, ignored);
  destroyed_ = true;
}

}  // namespace bulkhead::sandbox::vm
