#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "cli/create_container.h"
#include "cli/detach_keys.h"
#include "cli/error_text.h"
#include "cli/foreground.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

struct RunOptions {
  CreateOptions create;
  bool detach = false, sig_proxy = true;
  std::string detach_keys;
};

/// Whether `--attach` (all streams where it isn't given) names the stream.
bool is_attached(const CreateOptions& create, std::string_view stream) {
  auto same = [&](const std::string& text) {
    return std::equal(text.begin(), text.end(), stream.begin(), stream.end(),
                      [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
  };
  return create.attach.empty() || std::any_of(create.attach.begin(), create.attach.end(), same);
}

void check(const RunOptions& run) {
  if (run.detach && !run.create.attach.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "conflicting options: -a and -d; choose one");
  }
  parse_detach_keys(run.detach_keys);
  for (const std::string& stream : run.create.attach) {
    CreateOptions one;
    one.attach = {stream};
    if (!is_attached(one, "stdin") && !is_attached(one, "stdout") && !is_attached(one, "stderr")) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("invalid argument '{}' for --attach: stdin, stdout or stderr", stream));
    }
  }
}

int start_detached(Api& api, const std::string& id) {
  try {
    api.command(container_path(id, "start"));
  } catch (const Error& error) {
    fmt::print(stderr, "bulkhead: {}\n", error_text(error, ""));
    return exit_code_of_start_error(error);
  }
  fmt::print("{}\n", id);
  return 0;
}

}  // namespace

int run_run(Api& api, Words words) {
  RunOptions run;
  Options options("run", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Creates and runs a new container from an image.",
                  Order::kBeforeArguments);
  add_create_options(options, run.create);
  options.flag("-d,--detach", run.detach, "Run in the background and print the container's id");
  options.value("--detach-keys", run.detach_keys, "Keys that detach from the container, such as ctrl-p,ctrl-q");
  options.flag("--sig-proxy", run.sig_proxy, "Pass signals on to the container (default true)");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  check(run);
  Terminal terminal = run.create.tty ? Terminal::kYes : Terminal::kNo;
  bool in = !run.detach && run.create.interactive && is_attached(run.create, "stdin");
  if (lacks_terminal(terminal, in ? STDIN_FILENO : -1)) {
    // The one error of run that docker doesn't give its 125.
    fmt::print(stderr, "bulkhead: {}\n", lacks_terminal_error().message());
    return 1;
  }
  std::string id = create_container(api, run.create, options.arguments(), run.detach ? Attached::kNo : Attached::kYes);
  if (run.detach) {
    return start_detached(api, id);
  }
  return run_in_foreground(api, {.id = id,
                                 .terminal = terminal,
                                 .in = in,
                                 .out = is_attached(run.create, "stdout"),
                                 .err = is_attached(run.create, "stderr"),
                                 .auto_remove = run.create.remove,
                                 .proxy = run.sig_proxy ? SignalProxy::kForward : SignalProxy::kKeep,
                                 .detach_keys = run.detach_keys});
}

}  // namespace bulkhead::cli
