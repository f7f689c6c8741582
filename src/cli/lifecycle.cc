// The verbs that send one request a container and print its name.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/foreground.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/verbs.h"

namespace bulkhead::cli {
namespace {

constexpr const char* kUsage = "[OPTIONS] CONTAINER [CONTAINER...]";

int command_each(Api& api, const Options& options, const std::string& verb, const http::Query& query) {
  options.require_arguments(1);
  return for_each_name(options.arguments(), verb, [&](const std::string& name) {
    api.command(container_path(name, verb), query);
    fmt::print("{}\n", name);
  });
}

int run_stop_like(Api& api, Words words, const std::string& verb, const char* description) {
  std::optional<int64_t> timeout;
  std::string signal;
  Options options(verb, kUsage, description);
  options.value("-s,--signal", signal, "Signal to send");
  options.number("-t,--time,--timeout", timeout, "Seconds to wait before killing it");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  return command_each(api, options, verb, query_of({{"t", timeout ? std::to_string(*timeout) : ""}, {"signal", signal}}));
}

int run_plain(Api& api, Words words, const std::string& verb, const char* description) {
  Options options(verb, kUsage, description);
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  return command_each(api, options, verb, {});
}

}  // namespace

int run_stop(Api& api, Words words) { return run_stop_like(api, std::move(words), "stop", "Stops running containers."); }
int run_restart(Api& api, Words words) { return run_stop_like(api, std::move(words), "restart", "Restarts containers."); }
int run_pause(Api& api, Words words) {
  return run_plain(api, std::move(words), "pause", "Freezes all processes of containers.");
}
int run_unpause(Api& api, Words words) {
  return run_plain(api, std::move(words), "unpause", "Lets the processes of paused containers go on.");
}

int run_kill(Api& api, Words words) {
  std::string signal;
  Options options("kill", kUsage, "Sends a signal to running containers.");
  options.value("-s,--signal", signal, "Signal to send (default KILL)");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  return command_each(api, options, "kill", query_of({{"signal", signal}}));
}

int run_rename(Api& api, Words words) {
  Options options("rename", "CONTAINER NEW_NAME", "Gives a container another name.");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(2, 2);
  api.command(container_path(options.arguments()[0], "rename"), query_of({{"name", options.arguments()[1]}}));
  return 0;
}

int run_wait(Api& api, Words words) {
  Options options("wait", "CONTAINER [CONTAINER...]", "Waits until containers end, then prints their exit codes.");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  return for_each_name(options.arguments(), "wait", [&](const std::string& name) {
    http::Connection connection = api.open("POST", container_path(name, "wait"), {});
    fmt::print("{}\n", exit_code_of_wait(connection));
    (void)fflush(stdout);
  });
}

}  // namespace bulkhead::cli
