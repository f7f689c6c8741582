#include "sandbox/vm/keeper/warm_up.h"

#include <poll.h>

#include <functional>
#include <memory>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "oci/runtime_spec.h"
#include "sandbox/vm/create_request.h"
#include "sandbox/vm/guest_process.h"
#include "sandbox/vm/guest_spec.h"
#include "sandbox/vm/keeper/example_container.h"
#include "support/error.h"
#include "support/pipe.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace wire = agent::wire;

void await(GuestProcess& process, std::chrono::milliseconds timeout) {
  pollfd ended{.fd = process.started().exit_descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, static_cast<int>(timeout.count())) != 1) {
    throw Error(ErrorCode::kDeadlineExceeded, "warm a VM up: its process doesn't end");
  }
  auto status = process.exit();
  if (!status || status->code != 0) {
    throw Error(ErrorCode::kInternal, "warm a VM up: its process fails: " + (status ? status->error : std::string()));
  }
}

using Call = std::function<void(const char* method, const google::protobuf::MessageLite& request)>;

Call caller(AgentSession& session, std::chrono::milliseconds timeout) {
  return [&session, timeout](const char* method, const google::protobuf::MessageLite& request) {
    wire::Empty nothing;
    session.call(method, request, nothing, timeout);
  };
}

}  // namespace

void warm_up(AgentSession& session, const std::filesystem::path& cache_folder, std::chrono::milliseconds timeout) {
  Call call = caller(session, timeout);
  call("Configure", example_configuration());
  Pipe in;
  Pipe out;
  Pipe err;
  auto init = std::make_shared<GuestProcess>(
      session, "", false, ProcessIo{.in = std::move(in.read), .out = std::move(out.write), .err = std::move(err.write)});
  GuestSpec guest = make_guest_spec(example_spec());
  guest.spec.mounts.push_back(
      {.destination = kExampleProgram, .type = "bind", .source = agent::kAgentProgram, .options = {"bind", "ro"}});
  wire::CreateRequest create = make_create_request("warm-up", guest, cache_folder);
  set_streams(create, *init);
  call("Create", create);
  init->begin();
  call("Start", wire::Empty());

  Pipe exec_out;
  auto exec = std::make_shared<GuestProcess>(session, "warm-up", false,
                                             ProcessIo{.in = {}, .out = std::move(exec_out.write), .err = {}});
  wire::ExecRequest request;
  request.set_exec_id("warm-up");
  request.set_process(oci::to_json(example_process()));
  set_streams(request, *exec);
  call("Exec", request);
  exec->begin();
  await(*exec, timeout);
  in.write.reset();  // the init reads to the end of its input
  await(*init, timeout);
  wire::ReleaseRequest release;
  release.set_again(true);
  call("Release", release);
}

void rehearse(AgentSession& session, const std::string& program, const std::filesystem::path& cache_folder,
              std::chrono::milliseconds timeout) {
  Call call = caller(session, timeout);
  call("Configure", example_configuration());
  Pipe out;
  Pipe err;
  auto init = std::make_shared<GuestProcess>(session, "", false,
                                             ProcessIo{.in = {}, .out = std::move(out.write), .err = std::move(err.write)});
  GuestSpec guest = make_guest_spec(loading_spec(program));
  wire::CreateRequest create = make_create_request("warm-up", guest, cache_folder);
  create.set_prepared(true);
  set_streams(create, *init);
  call("Create", create);
  wire::ConfigureRequest configure = example_configuration();
  *configure.mutable_owner() = make_owner(guest);
  call("Configure", configure);
  init->begin();
  try {
    call("Start", wire::Empty());
    constexpr int kPatience = 2000;  // milliseconds; Release ends what goes on
    pollfd ended{.fd = init->started().exit_descriptor, .events = POLLIN, .revents = 0};
    ::poll(&ended, 1, kPatience);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kDeadlineExceeded) {
      throw;  // the guest, not the program
    }
  }
  wire::ReleaseRequest release;
  release.set_again(true);
  release.set_keep_image(true);
  call("Release", release);
}

void create_container(AgentSession& session, const std::string& container, std::chrono::milliseconds timeout) {
  wire::CreateRequest create;
  if (!create.ParseFromString(container) || !create.prepared()) {
    throw Error(ErrorCode::kInvalidArgument, "what a VM is to be prepared for is no container");
  }
  caller(session, timeout)("Create", create);
}

}  // namespace bulkhead::sandbox::vm
