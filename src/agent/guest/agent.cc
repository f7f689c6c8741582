#include "agent/guest/agent.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/guest/guest_system.h"
#include "agent/guest/process_table.h"
#include "agent/guest/user_names.h"
#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "facts/bounds.h"
#include "facts/facts.pb.h"
#include "facts/measure.h"
#include "linux/device_nodes.h"
#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"

namespace bulkhead::agent {
namespace {

constexpr const char* kBundle = "/run/bundle";
constexpr const char* kState = "/run/state";

template <typename Message>
Message parse(const std::string& payload) {
  Message message;
  if (!message.ParseFromString(payload)) {
    throw Error(ErrorCode::kInvalidArgument, "the request's message is malformed");
  }
  return message;
}

void write_files(const wire::CreateRequest& request) {
  make_folders(kFilesFolder);
  for (const wire::File& file : request.files()) {
    std::filesystem::path path = std::filesystem::path(kFilesFolder) / file.name();
    replace_file(path, file.content(), static_cast<mode_t>(file.mode()), Durability::kUnsynced);
    if (::chown(path.c_str(), file.uid(), file.gid()) != 0) {
      throw system_error(fmt::format("set the owner of '{}'", file.name()));
    }
  }
}

}  // namespace

Agent::Agent(EventLoop& loop, UniqueFd port)
    : loop_(loop),
      server_(
          loop, std::move(port),
          [this](const std::string& method, const std::string& payload, const Reply& reply) { handle(method, payload, reply); },
          // Nobody will ever ask for this container again: it ends with whoever held it.
          [](const Error&) { power_off(); }) {}

void Agent::handle(const std::string& method, const std::string& payload, const Reply& reply) {
  static const std::map<std::string, Method> kMethods = {
      {"Configure", &Agent::configure}, {"Create", &Agent::create},   {"Start", &Agent::start},
      {"Exec", &Agent::exec},           {"Wait", &Agent::wait},       {"Read", &Agent::read},
      {"Write", &Agent::write},         {"Signal", &Agent::signal},   {"Resize", &Agent::resize},
      {"Update", &Agent::update},       {"Release", &Agent::release}, {"Statistics", &Agent::statistics},
      {"Processes", &Agent::processes}, {"Measure", &Agent::measure}, {"Files", &Agent::files},
      {"Close", &Agent::close},
  };
  if (method == "Ping") {
    reply.succeed();
    return;
  }
  auto found = kMethods.find(method);
  if (found == kMethods.end()) {
    throw Error(ErrorCode::kNotSupported, fmt::format("the agent has no method '{}'", method));
  }
  (this->*found->second)(payload, reply);
}

void Agent::configure(const std::string& payload, const Reply& reply) {
  configured_ = parse<wire::ConfigureRequest>(payload);
  configure_guest(configured_);
  if (configured_.has_owner()) {
    give_to(configured_.owner());
  }
  reply.succeed();
}

sandbox::Sandbox& Agent::live() {
  if (!sandbox_) {
    throw Error(ErrorCode::kConflict, "there is no container in this guest");
  }
  return *sandbox_;
}

Agent::Process& Agent::find(const std::string& exec_id) {
  auto found = processes_.find(exec_id);
  if (found == processes_.end()) {
    throw Error(ErrorCode::kNotFound, fmt::format("no process '{}' in this guest", exec_id));
  }
  return found->second;
}

namespace {

/// Makes the pipes of a process that has no terminal; keeps our ends in `process`.
template <typename Process>
sandbox::ProcessIo make_streams(EventLoop& loop, const wire::Streams& streams, Process& process) {
  sandbox::ProcessIo io;
  if (streams.in()) {
    Pipe pipe;
    io.in = std::move(pipe.read);
    process.in = std::make_unique<InputStream>(loop, std::move(pipe.write), InputStream::AtEnd::kClose);
  }
  if (streams.out()) {
    Pipe pipe;
    io.out = std::move(pipe.write);
    process.out = std::make_unique<OutputStream>(loop, std::move(pipe.read));
  }
  if (streams.err()) {
    Pipe pipe;
    io.err = std::move(pipe.write);
    process.err = std::make_unique<OutputStream>(loop, std::move(pipe.read));
  }
  return io;
}

std::optional<linux::SeccompFilter> seccomp_of(const wire::CreateRequest& request) {
  if (!request.has_seccomp()) {
    return std::nullopt;
  }
  const std::string& bytes = request.seccomp().program();
  linux::SeccompFilter filter{.program = std::vector<sock_filter>(bytes.size() / sizeof(sock_filter)),
                              .flags = request.seccomp().flags()};
  // SECURITY: no part of a filter, and none that would be empty.
  if (bytes.empty() || bytes.size() % sizeof(sock_filter) != 0) {
    throw Error(ErrorCode::kInvalidArgument, "the request's seccomp filter is malformed");
  }
  std::memcpy(filter.program.data(), bytes.data(), bytes.size());
  return filter;
}

std::vector<std::string>::const_iterator home_in(const std::vector<std::string>& env) {
  return std::find_if(env.begin(), env.end(), [](const std::string& each) { return each.starts_with("HOME="); });
}

std::string home_of(const oci::Process& process) {
  auto found = home_in(process.env);
  return found == process.env.end() ? std::string() : *found;
}

/// --privileged: every device of this kernel.
void give_devices(oci::Spec& spec) {
  auto wanted = spec.annotations.find("org.bulkhead.devices");
  if (wanted != spec.annotations.end() && wanted->second == "all") {
    spec.linux_.devices = linux::devices_under("/dev", "/dev");
  }
}

}  // namespace

void Agent::create(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::CreateRequest>(payload);
  if (sandbox_ || disks_) {
    throw Error(ErrorCode::kConflict, "there is a container in this guest");
  }
  if (request.shares()) {
    mount_shares();
  }
  write_files(request);
  for (const char* folder : {kBundle, kState}) {
    make_folders(folder, 0700);
  }
  sandbox::SandboxSpec spec{.id = request.id(),
                            .bundle = kBundle,
                            .spec = oci::parse_spec(request.spec()),
                            .rootfs = {},
                            .io = {},
                            .state_folder = kState,
                            .cache_folder = {}};
  disks_.emplace(std::filesystem::path(kBundle) / "rootfs", image_disk_);
  try {
    resolve_user(spec.spec.process, disks_->root());
    give_devices(spec.spec);
    Process process;
    if (!spec.spec.process.terminal) {
      spec.io = make_streams(loop_, request.streams(), process);
    }
    prepared_home_ = request.prepared() ? home_of(spec.spec.process) : std::string();
    sandbox_ = std::make_unique<sandbox::ProcessSandbox>(
        std::move(spec), seccomp_of(request),
        request.prepared() ? sandbox::ProcessSandbox::Command::kReplaceable : sandbox::ProcessSandbox::Command::kFinal);
    adopt("", sandbox_->init(), std::move(process));
  } catch (...) {
    disks_.reset();
    throw;
  }
  reply.succeed();
}

/// The container that waits is this one's from now on.
void Agent::give_to(const wire::Owner& owner) {
  live();
  for (const wire::File& file : owner.files()) {
    // In place: the container has the file itself mounted.
    std::filesystem::path path = std::filesystem::path(kFilesFolder) / file.name();
    write_existing(path, file.content());
  }
  std::vector<std::string> env(owner.env().begin(), owner.env().end());
  if (!prepared_home_.empty() && home_in(env) == env.end()) {
    env.push_back(prepared_home_);
  }
  sandbox_->personalize(owner.hostname(), {owner.args().begin(), owner.args().end()}, env);
}

void Agent::adopt(const std::string& exec_id, sandbox::StartedProcess& started, Process process) {
  if (started.console) {
    // The other side is held too, so that the terminal doesn't end when the process closes it for a moment (ioctl_tty(2)).
    process.console_peer.reset(::ioctl(started.console.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    process.in = std::make_unique<InputStream>(loop_, duplicate(started.console.get()), InputStream::AtEnd::kKeep);
    process.out = std::make_unique<OutputStream>(loop_, std::move(started.console));
  }
  process.exit_watch = loop_.watch(started.exit_descriptor, POLLIN, [this, exec_id](short) { on_exit(exec_id); });
  processes_.insert_or_assign(exec_id, std::move(process));
}

void Agent::start(const std::string& /*payload*/, const Reply& reply) {
  live().start();
  reply.succeed();
}

void Agent::exec(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::ExecRequest>(payload);
  oci::Process wanted = oci::parse_process(request.process());
  live();
  resolve_user(wanted, disks_->root());
  Process process;
  sandbox::ProcessIo io;
  if (!wanted.terminal) {
    io = make_streams(loop_, request.streams(), process);
  }
  adopt(request.exec_id(), live().exec(request.exec_id(), wanted, std::move(io)), std::move(process));
  reply.succeed();
}

void Agent::on_exit(const std::string& exec_id) {
  Process& process = find(exec_id);
  process.exit_watch.reset();
  sandbox::ExitStatus status = live().reap(exec_id);
  process.exit.emplace();
  process.exit->set_code(status.code);
  process.exit->set_out_of_memory(status.out_of_memory);
  tell_end(exec_id);
}

/// To those who wait, once what was written is there to be read to its end.
void Agent::tell_end(const std::string& exec_id) {
  Process& process = find(exec_id);
  for (OutputStream* stream : {process.out.get(), process.err.get()}) {
    if (stream != nullptr) {
      stream->process_ended();
    }
  }
  for (const Reply& reply : std::exchange(process.waiting, {})) {
    process.failure ? reply.fail(*process.failure) : reply.succeed(*process.exit);
    process.told = true;
  }
  forget_if_done(exec_id);
}

void Agent::wait(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::ProcessRequest>(payload);
  Process& process = find(request.exec_id());
  process.waiting.push_back(reply);
  if (process.exit || process.failure) {
    tell_end(request.exec_id());
  }
}

void Agent::files(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::FilesRequest>(payload);
  if (processes_.contains(request.id())) {
    throw Error(ErrorCode::kConflict, "there is work on files of this name");
  }
  archive::FileRequest wanted{.kind = static_cast<archive::FileRequest::Kind>(request.kind()),
                              .path = request.path(),
                              .overwrite = request.same_kind() ? archive::Overwrite::kSameKind : archive::Overwrite::kAnything,
                              .owner = request.owner()};
  Process process;
  UniqueFd theirs;
  if (wanted.kind != archive::FileRequest::Kind::kStat) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw system_error("make a stream for an archive");
    }
    theirs.reset(ends[0]);
    UniqueFd ours(ends[1]);
    if (wanted.kind == archive::FileRequest::Kind::kPack) {
      process.out = std::make_unique<OutputStream>(loop_, std::move(ours));
    } else {
      process.in = std::make_unique<InputStream>(loop_, std::move(ours), InputStream::AtEnd::kClose);
    }
  }
  process.work = live().work_on_files(std::move(wanted), std::move(theirs));
  process.exit_watch = loop_.watch(process.work->descriptor(), POLLIN, [this, id = request.id()](short) { on_work_done(id); });
  processes_.insert_or_assign(request.id(), std::move(process));
  reply.succeed();
}

void Agent::on_work_done(const std::string& id) {
  Process& process = find(id);
  process.exit_watch.reset();
  try {
    archive::PathStat found = process.work->result();
    wire::PathStat& told = *process.exit.emplace().mutable_files();
    told.set_name(found.name);
    told.set_size(found.size);
    told.set_mode(found.mode);
    told.set_seconds(found.mtime.tv_sec);
    told.set_nanoseconds(static_cast<uint32_t>(found.mtime.tv_nsec));
    told.set_link_target(found.link_target);
  } catch (const Error& error) {
    process.exit.reset();
    process.failure = error;
  } catch (const std::exception& error) {  // no memory, in a guest that has little: this is PID 1, and the container goes on
    process.exit.reset();
    process.failure = Error(ErrorCode::kInternal, error.what());
  }
  tell_end(id);
}

/// Nobody reads the stream any more: who writes into it ends.
void Agent::close(const std::string& payload, const Reply& reply) {
  std::string id = parse<wire::ProcessRequest>(payload).exec_id();
  Process& process = find(id);
  if (process.out) {
    process.out->give_up();
    process.out.reset();
  }
  reply.succeed();
  forget_if_done(id);  // its end may have been told already: nothing else would come
}

/// An exec is forgotten once the host knows how it ended and has all of its output.
void Agent::forget_if_done(const std::string& exec_id) {
  Process& process = find(exec_id);
  bool read_out = (!process.out || process.out->ended()) && (!process.err || process.err->ended());
  if (!exec_id.empty() && process.told && read_out) {
    // Not now: one of its callbacks may be running.
    loop_.post([this, exec_id] { processes_.erase(exec_id); });
  }
}

void Agent::read(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::ReadRequest>(payload);
  Process& process = find(request.exec_id());
  auto& stream = request.stream() == wire::STREAM_ERR ? process.err : process.out;
  if (!stream) {
    throw Error(ErrorCode::kNotFound, "the process has no such stream");
  }
  stream->read(reply);
  forget_if_done(request.exec_id());
}

void Agent::write(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::WriteRequest>(payload);
  Process& process = find(request.exec_id());
  if (!process.in) {
    throw Error(ErrorCode::kNotFound, "the process has no standard input");
  }
  process.in->write(std::move(*request.mutable_data()), request.end(), reply);
}

void Agent::signal(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::SignalRequest>(payload);
  live().signal(request.exec_id(), request.signal(),
                request.all() ? sandbox::SignalScope::kAll : sandbox::SignalScope::kProcess);
  reply.succeed();
}

void Agent::resize(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::ResizeRequest>(payload);
  live().resize(request.exec_id(), static_cast<uint16_t>(request.rows()), static_cast<uint16_t>(request.columns()));
  reply.succeed();
}

void Agent::update(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::UpdateRequest>(payload);
  live().update(oci::parse_resources(request.resources()));
  reply.succeed();
}

void Agent::statistics(const std::string& /*payload*/, const Reply& reply) {
  sandbox::Statistics counted = live().statistics();
  wire::StatisticsResponse response;
  response.set_memory_usage(counted.memory_usage);
  response.set_memory_limit(counted.memory_limit);
  response.set_memory_inactive_file(counted.memory_inactive_file);
  response.set_memory_max_usage(counted.memory_max_usage);
  response.set_cpu_usage(counted.cpu_usage);
  response.set_cpu_user(counted.cpu_user);
  response.set_cpu_system(counted.cpu_system);
  response.set_periods(counted.periods);
  response.set_throttled_periods(counted.throttled_periods);
  response.set_throttled_time(counted.throttled_time);
  response.set_pids_current(counted.pids_current);
  response.set_pids_limit(counted.pids_limit);
  reply.succeed(response);
}

void Agent::processes(const std::string& /*payload*/, const Reply& reply) {
  wire::ProcessesResponse response;
  // What the wall itself runs here: this one, always and alone. In brackets, as ps writes what has no program of the
  // container's.
  describe_process(::getpid(), response);
  for (wire::Process& own : *response.mutable_processes()) {
    own.set_command("[bulkhead-agent]");
  }
  for (pid_t pid : live().processes()) {
    if (response.processes_size() < static_cast<int>(kMaxProcesses)) {
      describe_process(pid, response);
    }
  }
  reply.succeed(response);
}

void Agent::measure(const std::string& /*payload*/, const Reply& reply) {
  facts::Wall wall;
  live().measure(wall);
  facts::add_system_process(::getpid(), facts::ROLE_AGENT, wall);
  constexpr size_t kRoom = 4UL << 10;  // for the frame around it
  facts::fit(wall, kMaxAnswer - kRoom);
  reply.succeed(wall);
}

/// Ends the container and lets go of its disks, with everything written: the host may then take them away.
void Agent::release(const std::string& payload, const Reply& reply) {
  auto request = parse<wire::ReleaseRequest>(payload);
  if (sandbox_) {
    for (auto& [exec_id, process] : processes_) {
      process.exit_watch.reset();
      process.work.reset();
    }
    sandbox_->destroy();
    sandbox_.reset();
    processes_.clear();
  }
  if (disks_) {
    disks_->unmount(request.keep_image() ? ImageDisk::kMounted : ImageDisk::kUnmounted);
    image_disk_ = request.keep_image() ? ImageDisk::kMounted : ImageDisk::kUnmounted;
    disks_.reset();
  }
  if (request.again() && configured_.has_network()) {
    reset_network(configured_.network());
  }
  reply.succeed();
}

}  // namespace bulkhead::agent
