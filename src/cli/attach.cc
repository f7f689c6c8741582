#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/detach_keys.h"
#include "cli/foreground.h"
#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

void require_running(const nlohmann::json& container, const std::string& name) {
  const nlohmann::json& state = field(container, "State");
  if (!flag_at(state, "Running")) {
    throw Error(ErrorCode::kConflict,
                fmt::format("cannot attach to a stopped container; 'bulkhead start -ai {}' starts it and attaches", name));
  }
  if (flag_at(state, "Paused")) {
    throw Error(ErrorCode::kConflict,
                fmt::format("cannot attach to a paused container; 'bulkhead unpause {}' lets it go on", name));
  }
}

}  // namespace

int run_attach(Api& api, Words words) {
  bool no_stdin = false;
  bool sig_proxy = true;
  std::string detach_keys;
  Options options("attach", "[OPTIONS] CONTAINER", "Attaches this terminal's streams to a running container.");
  options.flag("--no-stdin", no_stdin, "Do not attach standard input");
  options.flag("--sig-proxy", sig_proxy, "Pass signals on to the container (default true)");
  options.value("--detach-keys", detach_keys, "Keys that detach from the container, such as ctrl-p,ctrl-q");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  parse_detach_keys(detach_keys);
  const std::string& name = options.arguments().front();
  nlohmann::json container = api.get(container_path(name, "json"));
  require_running(container, name);
  Terminal terminal = flag_at(field(container, "Config"), "Tty") ? Terminal::kYes : Terminal::kNo;
  bool in = !no_stdin && flag_at(field(container, "Config"), "OpenStdin");
  require_terminal(terminal, in ? STDIN_FILENO : -1);

  ContainerStream stream(api, {.resize_path = container_path(name, "resize"), .kill_path = container_path(name, "kill")},
                         terminal, sig_proxy ? SignalProxy::kForward : SignalProxy::kKeep);
  http::Connection wait = api.open("POST", container_path(name, "wait"), {});
  http::Upgraded attached = api.upgrade(
      container_path(name, "attach"),
      query_of({{"stream", "1"}, {"stdin", when(in)}, {"stdout", "1"}, {"stderr", "1"}, {"detachKeys", detach_keys}}));
  stream.resize();
  Wiring wiring{.format = terminal == Terminal::kYes ? StreamFormat::kRaw : StreamFormat::kFrames,
                .in = in ? STDIN_FILENO : -1,
                .out = STDOUT_FILENO,
                .err = STDERR_FILENO};
  if (stream.run(std::move(attached), wiring, detach_keys) == ContainerStream::End::kDetached) {
    return 0;
  }
  stream.wait_for(wait);
  return exit_code_of_wait(wait);
}

}  // namespace bulkhead::cli
