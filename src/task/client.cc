#include "task/client.h"

#include "facts/facts.pb.h"
#include "google/protobuf/empty.pb.h"
#include "task/inner_process.h"
#include "task/protocol.h"
#include "task/task.pb.h"
#include "ttrpc/client.h"

namespace bulkhead::task {
namespace {

namespace wire = containerd::task::v2;
using google::protobuf::Empty;

ExitStatus exit_of(uint32_t code, const google::protobuf::Timestamp& time) {
  return {.code = code, .time = from_timestamp(time)};
}

Status status_of(containerd::v1::types::Status status) {
  switch (status) {
    case containerd::v1::types::CREATED: return Status::kCreated;
    case containerd::v1::types::RUNNING: return Status::kRunning;
    case containerd::v1::types::STOPPED: return Status::kStopped;
    case containerd::v1::types::PAUSED: return Status::kPaused;
    case containerd::v1::types::PAUSING: return Status::kPausing;
    default: return Status::kUnknown;
  }
}

template <typename Request>
Request request_for(const std::string& id) {
  Request request;
  request.set_id(id);
  return request;
}

template <typename Request>
Request request_for(const std::string& id, const std::string& exec_id) {
  auto request = request_for<Request>(id);
  request.set_exec_id(exec_id);
  return request;
}

template <typename Request>
void set_stdio(const Stdio& stdio, Request& request) {
  request.set_stdin(stdio.in);
  request.set_stdout(stdio.out);
  request.set_stderr(stdio.err);
  request.set_terminal(stdio.terminal);
}

}  // namespace

struct Client::Connection {
  ttrpc::Client client;

  template <typename Response = Empty>
  Response call(const std::string& method, const google::protobuf::MessageLite& request,
                std::optional<std::chrono::milliseconds> timeout = kTimeout) {
    Response response;
    client.call(kTaskService, method, request, response, timeout);
    return response;
  }
};

Client::Client(const std::filesystem::path& socket) : connection_(new Connection{ttrpc::Client(ttrpc::connect_unix(socket))}) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

pid_t Client::create(const CreateRequest& request) {
  auto message = request_for<wire::CreateTaskRequest>(request.id);
  message.set_bundle(request.bundle);
  set_stdio(request.stdio, message);
  for (const Mount& mount : request.rootfs) {
    auto* out = message.add_rootfs();
    out->set_type(mount.type);
    out->set_source(mount.source);
    out->set_target(mount.target);
    for (const std::string& option : mount.options) {
      out->add_options(option);
    }
  }
  return static_cast<pid_t>(connection_->call<wire::CreateTaskResponse>("Create", message).pid());
}

pid_t Client::start(const std::string& id, const std::string& exec_id) {
  auto response = connection_->call<wire::StartResponse>("Start", request_for<wire::StartRequest>(id, exec_id));
  return static_cast<pid_t>(response.pid());
}

void Client::exec(const std::string& id, const std::string& exec_id, const std::string& process_json, const Stdio& stdio) {
  auto message = request_for<wire::ExecProcessRequest>(id, exec_id);
  set_stdio(stdio, message);
  message.mutable_spec()->set_type_url(kProcessType);
  message.mutable_spec()->set_value(process_json);
  connection_->call("Exec", message);
}

ExitStatus Client::wait(const std::string& id, const std::string& exec_id) {
  auto response = connection_->call<wire::WaitResponse>("Wait", request_for<wire::WaitRequest>(id, exec_id), std::nullopt);
  return exit_of(response.exit_status(), response.exited_at());
}

State Client::state(const std::string& id, const std::string& exec_id) {
  auto response = connection_->call<wire::StateResponse>("State", request_for<wire::StateRequest>(id, exec_id));
  return {.status = status_of(response.status()),
          .pid = static_cast<pid_t>(response.pid()),
          .exit = exit_of(response.exit_status(), response.exited_at())};
}

void Client::kill(const std::string& id, const std::string& exec_id, int signal_number, bool all) {
  auto message = request_for<wire::KillRequest>(id, exec_id);
  message.set_signal(static_cast<uint32_t>(signal_number));
  message.set_all(all);
  connection_->call("Kill", message);
}

void Client::resize(const std::string& id, const std::string& exec_id, uint16_t rows, uint16_t columns) {
  auto message = request_for<wire::ResizePtyRequest>(id, exec_id);
  message.set_height(rows);
  message.set_width(columns);
  connection_->call("ResizePty", message);
}

void Client::close_stdin(const std::string& id, const std::string& exec_id) {
  auto message = request_for<wire::CloseIORequest>(id, exec_id);
  message.set_stdin(true);
  connection_->call("CloseIO", message);
}

void Client::pause(const std::string& id) { connection_->call("Pause", request_for<wire::PauseRequest>(id)); }

void Client::resume(const std::string& id) { connection_->call("Resume", request_for<wire::ResumeRequest>(id)); }

void Client::update(const std::string& id, const std::string& resources_json) {
  auto message = request_for<wire::UpdateTaskRequest>(id);
  message.mutable_resources()->set_type_url(kResourcesType);
  message.mutable_resources()->set_value(resources_json);
  connection_->call("Update", message);
}

std::vector<ProcessInfo> Client::processes(const std::string& id) {
  auto response = connection_->call<wire::PidsResponse>("Pids", request_for<wire::PidsRequest>(id));
  std::vector<ProcessInfo> processes;
  for (const auto& each : response.processes()) {
    ProcessInfo& process = processes.emplace_back();
    process.pid = static_cast<pid_t>(each.pid());
    if (each.has_info()) {
      process.inner = parse_inner_process(each.info().value());
    }
  }
  return processes;
}

Statistics Client::statistics(const std::string& id) {
  return parse_statistics(connection_->call<wire::StatsResponse>("Stats", request_for<wire::StatsRequest>(id)).stats().value());
}

void Client::measure(const std::string& id, facts::Wall& wall) {
  facts::MeasureRequest request;
  request.set_id(id);
  connection_->client.call(kWallService, "Measure", request, wall, kTimeout);
}

void Client::discard() {
  google::protobuf::Empty nothing;
  connection_->client.call(kWallService, "Discard", nothing, nothing, kTimeout);
}

ExitStatus Client::remove(const std::string& id, const std::string& exec_id) {
  auto response = connection_->call<wire::DeleteResponse>("Delete", request_for<wire::DeleteRequest>(id, exec_id));
  return exit_of(response.exit_status(), response.exited_at());
}

void Client::shutdown(const std::string& id) { connection_->call("Shutdown", request_for<wire::ShutdownRequest>(id)); }

}  // namespace bulkhead::task
