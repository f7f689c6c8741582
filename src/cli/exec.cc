#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/container_stream.h"
#include "cli/detach_keys.h"
#include "cli/environment.h"
#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

struct ExecOptions {
  bool interactive = false, tty = false, detach = false, privileged = false;
  std::string user, workdir, detach_keys;
  std::vector<std::string> env, env_file;
};

void add_options(Options& options, ExecOptions& exec) {
  options.flag("-d,--detach", exec.detach, "Run in the background");
  options.value("--detach-keys", exec.detach_keys, "Keys that detach from the command, such as ctrl-p,ctrl-q");
  options.list("-e,--env", exec.env, "Set environment variables");
  options.list("--env-file", exec.env_file, "Read environment variables from a file");
  options.flag("-i,--interactive", exec.interactive, "Keep standard input open");
  options.flag("--privileged", exec.privileged, "Give the command the host's privileges");
  options.flag("-t,--tty", exec.tty, "Allocate a terminal");
  options.value("-u,--user", exec.user, "User name or id, with an optional group: user[:group]");
  options.value("-w,--workdir", exec.workdir, "Working directory inside the container");
}

std::string create_exec(Api& api, const ExecOptions& exec, const std::vector<std::string>& arguments) {
  json body = {{"AttachStdin", exec.interactive && !exec.detach},
               {"AttachStdout", !exec.detach},
               {"AttachStderr", !exec.detach},
               {"Tty", exec.tty},
               {"Privileged", exec.privileged},
               {"User", exec.user},
               {"WorkingDir", exec.workdir},
               {"DetachKeys", exec.detach_keys},
               {"Env", environment(exec.env_file, exec.env)},
               {"Cmd", std::vector<std::string>(arguments.begin() + 1, arguments.end())}};
  return required_text(api.post(container_path(arguments.front(), "exec"), {}, body), "Id");
}

json start_body(const ExecOptions& exec) {
  json body = {{"Detach", exec.detach}, {"Tty", exec.tty}};
  if (std::optional<WindowSize> size = console_size(); exec.tty && !exec.detach && size) {
    body["ConsoleSize"] = {size->rows, size->columns};
  }
  return body;
}

}  // namespace

int run_exec(Api& api, Words words) {
  ExecOptions exec;
  Options options("exec", "[OPTIONS] CONTAINER COMMAND [ARG...]", "Runs a command in a running container.",
                  Order::kBeforeArguments);
  add_options(options, exec);
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(2);
  parse_detach_keys(exec.detach_keys);
  Terminal terminal = exec.tty ? Terminal::kYes : Terminal::kNo;
  bool in = exec.interactive && !exec.detach;
  require_terminal(terminal, in ? STDIN_FILENO : -1);
  std::string id = create_exec(api, exec, options.arguments());
  std::string path = "/exec/" + escaped(id);
  if (exec.detach) {
    api.post(path + "/start", {}, start_body(exec));
    return 0;
  }
  ContainerStream stream(api, {.resize_path = path + "/resize", .kill_path = ""}, terminal, SignalProxy::kKeep);
  http::Upgraded attached = api.upgrade(path + "/start", {}, start_body(exec).dump());
  stream.resize();
  Wiring wiring{.format = exec.tty ? StreamFormat::kRaw : StreamFormat::kFrames,
                .in = in ? STDIN_FILENO : -1,
                .out = STDOUT_FILENO,
                .err = STDERR_FILENO};
  if (stream.run(std::move(attached), wiring, exec.detach_keys) == ContainerStream::End::kDetached) {
    return 0;
  }
  json state = api.get(path + "/json");
  if (!field(state, "ExitCode").is_number_integer()) {
    throw Error(ErrorCode::kInternal, "the command's streams ended but it still runs; its exit code is not known");
  }
  return static_cast<int>(number_at(state, "ExitCode"));
}

}  // namespace bulkhead::cli
