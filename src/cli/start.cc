#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/foreground.h"
#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

int start_attached(Api& api, const std::string& name, bool interactive, Foreground what) {
  nlohmann::json container = api.get(container_path(name, "json"));
  what.id = required_text(container, "Id");
  what.terminal = flag_at(field(container, "Config"), "Tty") ? Terminal::kYes : Terminal::kNo;
  what.in = interactive && flag_at(field(container, "Config"), "OpenStdin");
  what.auto_remove = flag_at(field(container, "HostConfig"), "AutoRemove");
  if (flag_at(field(container, "State"), "Running")) {
    throw Error(ErrorCode::kConflict,
                fmt::format("container '{}' runs already; 'bulkhead attach {}' attaches to it", name, name));
  }
  return run_in_foreground(api, what);
}

}  // namespace

int run_start(Api& api, Words words) {
  bool attach = false;
  bool interactive = false;
  bool sig_proxy = true;
  Foreground what;
  Options options("start", "[OPTIONS] CONTAINER [CONTAINER...]", "Starts stopped containers.");
  options.flag("-a,--attach", attach, "Attach to its output and pass signals on");
  options.flag("-i,--interactive", interactive, "Attach to its input");
  options.flag("--sig-proxy", sig_proxy, "Pass signals on to the container (default true)");
  options.value("--detach-keys", what.detach_keys, "Keys that detach from the container, such as ctrl-p,ctrl-q");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  if (attach || interactive) {
    if (options.arguments().size() > 1) {
      throw Error(ErrorCode::kInvalidArgument, "-a and -i attach to one container: name only one");
    }
    what.out = what.err = true;
    what.proxy = sig_proxy ? SignalProxy::kForward : SignalProxy::kKeep;
    return start_attached(api, options.arguments().front(), interactive, what);
  }
  return for_each_name(options.arguments(), "start", [&](const std::string& name) {
    api.command(container_path(name, "start"));
    fmt::print("{}\n", name);
  });
}

}  // namespace bulkhead::cli
