// More processes in a running container: docker exec.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "api/detach_keys.h"
#include "api/errors.h"
#include "api/handlers.h"
#include "api/raw_stream.h"
#include "engine/json_object.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

template <typename Value>
Value value_at(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || found->is_null()) {
    return Value{};
  }
  try {
    return found->get<Value>();
  } catch (const json::exception&) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} has a value of the wrong type", name));
  }
}

std::optional<std::pair<uint16_t, uint16_t>> console_size(const json& body) {
  auto size = value_at<std::vector<int64_t>>(body, "ConsoleSize");
  if (size.size() != 2 || size[0] <= 0 || size[1] <= 0 || size[0] > 0xFFFF || size[1] > 0xFFFF) {
    return std::nullopt;
  }
  return std::pair(static_cast<uint16_t>(size[0]), static_cast<uint16_t>(size[1]));
}

/// The start failed: docker's client, which wants a stream by now, finds the reason in it, and 126 or 127 in the exec's exit
/// code.
void answer_start_failure(Request& request, const Error& error, bool tty) {
  http::Exchange::Raw client = request.exchange.hijack(stream_content_type(request, tty));
  std::string text = message_of(error) + "\r\n";
  if (!tty) {
    auto header = http::frame_header(http::StreamType::kOut, static_cast<uint32_t>(text.size()));
    text.insert(0, header.data(), header.size());
  }
  send_raw(client, text);
}

void serve_stream(Request& request, const UniqueFd& stream, const engine::Exec& exec) {
  bool tty = exec.config.tty;
  ProxyOptions options{.send_input = exec.config.attach_stdin, .detach_keys = std::nullopt};
  if (tty) {
    options.detach_keys = parse_detach_keys(exec.config.detach_keys);
  }
  http::Exchange::Raw client = request.exchange.hijack(stream_content_type(request, tty));
  if (proxy(client, request.exchange.stop_descriptor(), stream, options) == ProxyEnd::kStreamEnded) {
    // The client asks for the exit code as soon as this connection ends: it has to be known by then.
    request.engine.exec_wait(exec.id);
  }
}

}  // namespace

void exec_create(Request& request) {
  json body = read_json(request);
  engine::JsonObject asked(body, "");
  engine::ExecConfig config;
  asked.read("AttachStdin", config.attach_stdin);
  asked.read("AttachStdout", config.attach_stdout);
  asked.read("AttachStderr", config.attach_stderr);
  asked.read("Tty", config.tty);
  asked.read("Privileged", config.privileged);
  asked.read("Cmd", config.cmd);
  asked.read("Env", config.env);
  asked.read("User", config.user);
  asked.read("WorkingDir", config.working_dir);
  asked.read("DetachKeys", config.detach_keys);
  // What the start says again, and the container's name, which the path has.
  for (const char* said_elsewhere : {"Detach", "ConsoleSize", "Container"}) {
    asked.ignore(said_elsewhere);
  }
  asked.refuse_rest();
  if (config.cmd.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "No exec command specified");
  }
  config.caller = caller_of(request);
  parse_detach_keys(config.detach_keys);
  answer_json(request, 201, {{"Id", request.engine.exec_create(request.name, config)}});
}

void exec_start(Request& request) {
  json body = read_json(request);
  bool detach = value_at<bool>(body, "Detach");
  engine::Exec exec = request.engine.exec_inspect(request.name);
  UniqueFd stream;
  try {
    stream = request.engine.exec_start(exec.id, detach, exec.config.tty, console_size(body));
  } catch (const Error& error) {
    // An exec that was never tried (unknown, started before, its container paused) is an error of the request.
    if (detach || !request.engine.exec_inspect(exec.id).exit_code || error.code() == ErrorCode::kConflict) {
      throw;
    }
    answer_start_failure(request, error, exec.config.tty);
    return;
  }
  if (detach) {
    answer_empty(request, 200);
  } else if (stream) {
    serve_stream(request, stream, exec);
  } else {
    request.exchange.hijack(stream_content_type(request, exec.config.tty));
    request.engine.exec_wait(exec.id);
  }
}

void exec_inspect(Request& request) {
  engine::Exec exec = request.engine.exec_inspect(request.name);
  const engine::ExecConfig& config = exec.config;
  json arguments = json::array();
  for (size_t i = 1; i < config.cmd.size(); ++i) {
    arguments.push_back(config.cmd[i]);
  }
  answer_json(request, 200,
              {{"ID", exec.id},
               {"Running", exec.running},
               {"ExitCode", exec.exit_code ? json(*exec.exit_code) : json(nullptr)},
               {"ProcessConfig",
                {{"tty", config.tty},
                 {"entrypoint", config.cmd.empty() ? "" : config.cmd.front()},
                 {"arguments", arguments},
                 {"privileged", config.privileged},
                 {"user", config.user}}},
               {"OpenStdin", config.attach_stdin},
               {"OpenStderr", config.attach_stderr},
               {"OpenStdout", config.attach_stdout},
               {"CanRemove", exec.started && !exec.running},
               {"ContainerID", exec.container_id},
               {"DetachKeys", parse_detach_keys(config.detach_keys)},
               {"Pid", exec.pid}});
}

void exec_resize(Request& request) {
  TerminalSize size = terminal_size(request);
  request.engine.exec_resize(request.name, size.rows, size.columns);
  answer_empty(request, 200);
}

}  // namespace bulkhead::api
