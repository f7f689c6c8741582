#include "shim/task_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "facts/facts.pb.h"
#include "google/protobuf/empty.pb.h"
#include "support/error.h"
#include "task/inner_process.h"
#include "task/protocol.h"
#include "task/task.pb.h"

namespace bulkhead::shim {
namespace {

namespace wire = containerd::task::v2;
using google::protobuf::Empty;

containerd::v1::types::Status to_wire(task::Status status) {
  switch (status) {
    case task::Status::kCreated: return containerd::v1::types::CREATED;
    case task::Status::kRunning: return containerd::v1::types::RUNNING;
    case task::Status::kStopped: return containerd::v1::types::STOPPED;
    case task::Status::kPaused: return containerd::v1::types::PAUSED;
    case task::Status::kPausing: return containerd::v1::types::PAUSING;
    case task::Status::kUnknown: break;
  }
  return containerd::v1::types::UNKNOWN;
}

/// The requests that have them name a process's streams alike.
template <typename Request>
task::Stdio stdio_of(const Request& request) {
  return {.in = request.stdin(), .out = request.stdout(), .err = request.stderr(), .terminal = request.terminal()};
}

std::string statistics_json(const sandbox::Statistics& now) {
  return fmt::format(
      R"({{"memory_usage":{},"memory_limit":{},"memory_inactive_file":{},"memory_max_usage":{},"cpu_usage":{},"cpu_user":{},)"
      R"("cpu_system":{},"periods":{},"throttled_periods":{},"throttled_time":{},"pids_current":{},"pids_limit":{}}})",
      now.memory_usage, now.memory_limit, now.memory_inactive_file, now.memory_max_usage, now.cpu_usage, now.cpu_user,
      now.cpu_system, now.periods, now.throttled_periods, now.throttled_time, now.pids_current, now.pids_limit);
}

}  // namespace

TaskService::TaskService(Container& container, std::function<void()> shut_down)
    : container_(container), shut_down_(std::move(shut_down)) {}

void TaskService::handle(const ttrpc::Call& call, ttrpc::Responder responder) {
  using Method = void (TaskService::*)(const std::string&, ttrpc::Responder&);
  static constexpr std::array<std::pair<std::string_view, Method>, 16> kMethods{{
      {"Create", &TaskService::create},
      {"Start", &TaskService::start},
      {"Wait", &TaskService::wait},
      {"State", &TaskService::state},
      {"Delete", &TaskService::remove},
      {"Kill", &TaskService::kill},
      {"Exec", &TaskService::exec},
      {"ResizePty", &TaskService::resize},
      {"CloseIO", &TaskService::close_io},
      {"Pids", &TaskService::pids},
      {"Pause", &TaskService::pause},
      {"Resume", &TaskService::resume},
      {"Update", &TaskService::update},
      {"Stats", &TaskService::statistics},
      {"Connect", &TaskService::connect},
      {"Shutdown", &TaskService::shutdown},
  }};
  if (call.service == task::kWallService && call.method == "Measure") {
    measure(call.payload, responder);
    return;
  }
  if (call.service == task::kWallService && call.method == "Discard") {
    discard(call.payload, responder);
    return;
  }
  if (call.service != task::kTaskService) {
    throw Error(ErrorCode::kNotSupported, fmt::format("service '{}' is not supported", call.service));
  }
  for (const auto& [name, method] : kMethods) {
    if (name == call.method) {
      (this->*method)(call.payload, responder);
      return;
    }
  }
  throw Error(ErrorCode::kNotSupported, fmt::format("'{}' is not supported", call.method));
}

template <typename Request>
Request TaskService::parse(const std::string& payload) const {
  Request request;
  if (!request.ParseFromString(payload)) {
    throw Error(ErrorCode::kInvalidArgument, "the request's payload is malformed");
  }
  if (request.id() != container_.id()) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("container '{}' is not of this shim, which has '{}'", request.id(), container_.id()));
  }
  return request;
}

void TaskService::create(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::CreateTaskRequest>(payload);
  if (!request.checkpoint().empty() || !request.parent_checkpoint().empty()) {
    throw Error(ErrorCode::kNotSupported, "restoring a checkpoint is not supported");
  }
  if (!request.options().value().empty()) {
    throw Error(ErrorCode::kNotSupported, fmt::format("runtime options of type '{}' are not supported: this runtime has none",
                                                      request.options().type_url()));
  }
  task::CreateRequest create{.id = request.id(), .bundle = request.bundle(), .rootfs = {}, .stdio = stdio_of(request)};
  for (const auto& mount : request.rootfs()) {
    create.rootfs.push_back({.type = mount.type(),
                             .source = mount.source(),
                             .target = mount.target(),
                             .options = {mount.options().begin(), mount.options().end()}});
  }
  wire::CreateTaskResponse response;
  response.set_pid(static_cast<uint32_t>(container_.create(create)));
  responder.succeed(response);
}

void TaskService::start(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::StartRequest>(payload);
  wire::StartResponse response;
  response.set_pid(static_cast<uint32_t>(container_.start(request.exec_id())));
  responder.succeed(response);
}

void TaskService::state(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::StateRequest>(payload);
  Container::Description found = container_.describe(request.exec_id());
  wire::StateResponse response;
  response.set_id(request.id());
  response.set_exec_id(request.exec_id());
  response.set_bundle(container_.bundle());
  response.set_pid(static_cast<uint32_t>(found.state.pid));
  response.set_status(to_wire(found.state.status));
  response.set_stdin(found.stdio.in);
  response.set_stdout(found.stdio.out);
  response.set_stderr(found.stdio.err);
  response.set_terminal(found.stdio.terminal);
  response.set_exit_status(found.state.exit.code);
  task::to_timestamp(found.state.exit.time, *response.mutable_exited_at());
  responder.succeed(response);
}

void TaskService::remove(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::DeleteRequest>(payload);
  Container::Removed removed = container_.remove(request.exec_id());
  wire::DeleteResponse response;
  response.set_pid(static_cast<uint32_t>(removed.pid));
  response.set_exit_status(removed.exit.code);
  task::to_timestamp(removed.exit.time, *response.mutable_exited_at());
  responder.succeed(response);
}

void TaskService::pids(const std::string& payload, ttrpc::Responder& responder) {
  parse<wire::PidsRequest>(payload);
  wire::PidsResponse response;
  for (const task::ProcessInfo& process : container_.processes()) {
    auto& entry = *response.add_processes();
    entry.set_pid(static_cast<uint32_t>(process.pid));
    if (process.inner) {
      entry.mutable_info()->set_type_url(task::kInnerProcessType);
      entry.mutable_info()->set_value(task::to_json(*process.inner));
    }
  }
  responder.succeed(response);
}

void TaskService::pause(const std::string& payload, ttrpc::Responder& responder) {
  parse<wire::PauseRequest>(payload);
  container_.pause();
  responder.succeed(Empty());
}

void TaskService::resume(const std::string& payload, ttrpc::Responder& responder) {
  parse<wire::ResumeRequest>(payload);
  container_.resume();
  responder.succeed(Empty());
}

void TaskService::kill(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::KillRequest>(payload);
  if (request.signal() > 64) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no signal {}", request.signal()));
  }
  container_.kill(request.exec_id(), static_cast<int>(request.signal()),
                  request.all() ? sandbox::SignalScope::kAll : sandbox::SignalScope::kProcess);
  responder.succeed(Empty());
}

void TaskService::exec(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::ExecProcessRequest>(payload);
  container_.exec(request.exec_id(), request.spec().value(), stdio_of(request));
  responder.succeed(Empty());
}

void TaskService::resize(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::ResizePtyRequest>(payload);
  if (request.height() > UINT16_MAX || request.width() > UINT16_MAX) {
    throw Error(ErrorCode::kInvalidArgument, "a terminal can't be that large");
  }
  container_.resize(request.exec_id(), static_cast<uint16_t>(request.height()), static_cast<uint16_t>(request.width()));
  responder.succeed(Empty());
}

void TaskService::close_io(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::CloseIORequest>(payload);
  if (request.stdin()) {
    container_.close_stdin(request.exec_id());
  }
  responder.succeed(Empty());
}

void TaskService::update(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::UpdateTaskRequest>(payload);
  container_.update(request.resources().value());
  responder.succeed(Empty());
}

void TaskService::wait(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::WaitRequest>(payload);
  container_.wait(request.exec_id(), [responder](const task::ExitStatus& exit) mutable {
    wire::WaitResponse response;
    response.set_exit_status(exit.code);
    task::to_timestamp(exit.time, *response.mutable_exited_at());
    responder.succeed(response);
  });
}

void TaskService::statistics(const std::string& payload, ttrpc::Responder& responder) {
  parse<wire::StatsRequest>(payload);
  wire::StatsResponse response;
  response.mutable_stats()->set_type_url(task::kStatisticsType);
  response.mutable_stats()->set_value(statistics_json(container_.statistics()));
  responder.succeed(response);
}

void TaskService::measure(const std::string& payload, ttrpc::Responder& responder) {
  parse<facts::MeasureRequest>(payload);
  facts::Wall wall;
  container_.measure(wall);
  responder.succeed(wall);
}

void TaskService::discard(const std::string& /*payload*/, ttrpc::Responder& responder) {
  container_.discard();
  responder.succeed(Empty());
}

void TaskService::connect(const std::string& payload, ttrpc::Responder& responder) {
  parse<wire::ConnectRequest>(payload);
  wire::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(::getpid()));
  response.set_version(BULKHEAD_VERSION);
  if (container_.exists()) {
    response.set_task_pid(static_cast<uint32_t>(container_.describe("").state.pid));
  }
  responder.succeed(response);
}

void TaskService::shutdown(const std::string& payload, ttrpc::Responder& responder) {
  auto request = parse<wire::ShutdownRequest>(payload);
  if (container_.exists() && !request.now()) {
    throw Error(ErrorCode::kConflict, fmt::format("container '{}' is still there: delete it first", request.id()));
  }
  container_.destroy();
  shut_down_();  // first, so that a client that has the answer finds nothing of ours in the bundle
  responder.succeed(Empty());
}

}  // namespace bulkhead::shim
