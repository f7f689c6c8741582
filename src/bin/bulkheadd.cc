// The engine's daemon: the Engine API on its sockets, in front of one engine.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "api/api.h"
#include "engine/engine.h"
#include "http/server.h"
#include "linux/sealed_executable.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"

namespace {
using bulkhead::Error;
using bulkhead::ErrorCode;

constexpr std::chrono::seconds kGrace{5};

struct Options {
  bulkhead::engine::EngineOptions engine;
  std::vector<std::string> hosts;
  std::filesystem::path pid_file;
  bool debug = false;
};

bulkhead::http::Server* stopping_server = nullptr;

extern "C" void stop_server(int /*signal*/) { stopping_server->stop(); }
extern "C" void ignore_signal(int /*signal*/) {}

/// Handlers, no blocked or ignored signals: those would be inherited by every shim and container (execve(2)).
void handle_signals(bulkhead::http::Server& server) {
  stopping_server = &server;
  struct sigaction action {};
  action.sa_handler = stop_server;
  for (int signal : {SIGTERM, SIGINT}) {
    sigaction(signal, &action, nullptr);
  }
  action.sa_handler = ignore_signal;
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGPIPE, SIGHUP}) {
    sigaction(signal, &action, nullptr);
  }
}

/// The daemon's memory is shared by all that it does: many arenas would each keep what was freed (mallopt(3)).
void bound_memory() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 512 << 10);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

void listen(bulkhead::http::Server& server, const std::string& host) {
  if (host.starts_with("unix://")) {
    server.listen_unix(host.substr(7));
  } else if (host.starts_with("tcp://")) {
    std::string address = host.substr(6);
    size_t colon = address.rfind(':');
    uint16_t port = 0;
    const char* end = address.data() + address.size();
    if (colon == std::string::npos || std::from_chars(address.data() + colon + 1, end, port).ptr != end ||
        colon + 1 == address.size()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("--host {}: it has no port, as in tcp://127.0.0.1:2375", host));
    }
    std::string name = address.substr(0, colon);
    if (name.starts_with('[') && name.ends_with(']')) {
      name = name.substr(1, name.size() - 2);
    }
    port = server.listen_tcp(name, port);
    bulkhead::log::info("listening at tcp://{}:{}", address.substr(0, colon), port);
    return;
  } else {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("--host {}: it begins neither with unix:// nor with tcp://", host));
  }
  bulkhead::log::info("listening at {}", host);
}

std::filesystem::path executable_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

void describe(CLI::App& app, Options& options) {
  options.engine.root = "/var/lib/bulkhead";
  options.engine.run_root = "/run/bulkhead";
  app.set_version_flag("--version", "bulkheadd " BULKHEAD_VERSION);
  app.add_option("--root", options.engine.root, "Folder of images and containers")->capture_default_str();
  app.add_option("--run-root", options.engine.run_root, "Folder of what does not survive a reboot")->capture_default_str();
  app.add_option("-H,--host", options.hosts, "Socket to listen at: unix:///path or tcp://127.0.0.1:port; may be repeated")
      ->default_str("unix://RUN_ROOT/bulkhead.sock");
  app.add_option("--shim", options.engine.shim, "The shim's executable")->default_str("beside this one");
  app.add_option("--insecure-registry", options.engine.insecure_registries,
                 "Registry (host:port or CIDR) that may be spoken to without TLS; may be repeated");
  app.add_option("--bip,--bridge-subnet", options.engine.bridge_subnet, "Subnet of the default bridge")
      ->default_str("a free one");
  app.add_option("--init-path", options.engine.init_binary, "The init of containers run with --init")
      ->default_str("searched for");
  app.add_option("-p,--pidfile", options.pid_file, "File to write the process id to");
  app.add_flag("-D,--debug", options.debug, "Say more in the log");
}

int run(Options options) {
  if (options.debug) {
    bulkhead::log::set_level(bulkhead::log::Level::kDebug);
  }
  if (geteuid() != 0) {
    throw Error(ErrorCode::kPermissionDenied, "the engine has to run as root: it makes namespaces, mounts and cgroups");
  }
  if (options.engine.shim.empty()) {
    options.engine.shim = executable_folder() / "containerd-shim-bulkhead-v2";
  }
  if (access(options.engine.shim.c_str(), X_OK) != 0) {
    throw bulkhead::system_error(fmt::format("the shim '{}'", options.engine.shim.native()));
  }
  options.engine.shim = std::filesystem::absolute(options.engine.shim);
  if (options.hosts.empty()) {
    options.hosts.push_back("unix://" + (options.engine.run_root / "bulkhead.sock").native());
  }
  raise_file_limit();
  // Sealed once here instead of by each shim's second execve.
  bulkhead::UniqueFd sealed_shim = bulkhead::linux::open_sealed(options.engine.shim);
  options.engine.sealed_shim = fmt::format("/proc/self/fd/{}", sealed_shim.get());

  bulkhead::engine::Engine engine(options.engine);
  bulkhead::api::Api api(engine);
  bulkhead::http::Server server([&](bulkhead::http::Exchange& exchange) { api.handle(exchange); }, {});
  handle_signals(server);
  for (const std::string& host : options.hosts) {
    listen(server, host);
  }
  if (!options.pid_file.empty()) {
    bulkhead::replace_file(options.pid_file, fmt::format("{}\n", getpid()), 0644, bulkhead::Durability::kUnsynced);
  }
  bulkhead::ScopeGuard remove_pid_file([&] { ::unlink(options.pid_file.c_str()); });

  bulkhead::log::info("bulkheadd " BULKHEAD_VERSION " serves {}", options.engine.root.native());
  if (!server.run(kGrace)) {
    // A request still waits (a stop with a long timeout, say). Every change is crash-safe: leave it where it is, rather than
    // take the engine away under it.
    bulkhead::log::warn("requests are still being answered: they end here");
    ::unlink(options.pid_file.c_str());
    _exit(0);
  }
  engine.shut_down();
  bulkhead::log::info("stopped; running containers go on");
  ::unlink(options.pid_file.c_str());
  // Threads of the engine wait at running containers' shims: nothing may be taken away under them.
  _exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  bound_memory();
  Options options;
  CLI::App app("Bulkhead's engine: serves the Docker Engine API", "bulkheadd");
  describe(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(std::move(options));
  } catch (const std::exception& error) {
    fmt::print(stderr, "bulkheadd: {}\n", error.what());
    return 1;
  }
}
