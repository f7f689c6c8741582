// The engine's daemon: the Engine API on its sockets, in front of one engine.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "api/api.h"
#include "engine/engine.h"
#include "http/server.h"
#include "linux/sealed_executable.h"
#include "settings/daemon_settings.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/scope_guard.h"
#include "tls/context.h"

namespace {
using bulkhead::Error;
using bulkhead::ErrorCode;

constexpr std::chrono::seconds kGrace{5};

struct Options {
  bulkhead::engine::EngineOptions engine;
  std::vector<std::string> hosts;
  std::filesystem::path pid_file;
  std::filesystem::path config_file;  // "": the usual one, where it is there
  std::vector<std::string> exec_options;
  bulkhead::settings::TlsSettings tls;
  bool debug = false;
};

bulkhead::http::Server* stopping_server = nullptr;
int reload_event = -1;  // eventfd(2)

extern "C" void stop_server(int /*signal*/) { stopping_server->stop(); }
extern "C" void ignore_signal(int /*signal*/) {}
extern "C" void ask_for_reload(int /*signal*/) {
  int error_number = errno;
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(reload_event, &one, sizeof(one));
  errno = error_number;
}

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
  sigaction(SIGPIPE, &action, nullptr);
  action.sa_handler = ask_for_reload;
  sigaction(SIGHUP, &action, nullptr);
}

/// Reads the policy again at each SIGHUP, on a thread of its own for as long as the process lives.
void reload_on_request(bulkhead::engine::Engine& engine) {
  reload_event = ::eventfd(0, EFD_CLOEXEC);
  if (reload_event < 0) {
    throw bulkhead::system_error("create an eventfd");
  }
  std::thread([&engine] {
    uint64_t count = 0;
    while (::read(reload_event, &count, sizeof(count)) == sizeof(count) || errno == EINTR) {
      engine.reload_policy();
    }
  }).detach();
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

using TlsContext = std::shared_ptr<const bulkhead::tls::Context>;

/// The context of --tlsverify, or null.
TlsContext tls_context(const Options& options) {
  if (!bulkhead::settings::verifies_clients(options.tls)) {
    return nullptr;
  }
  if (std::none_of(options.hosts.begin(), options.hosts.end(), [](const auto& host) { return host.starts_with("tcp://"); })) {
    bulkhead::log::warn("--tlsverify concerns TCP, and no --host is tcp://");
  }
  return bulkhead::tls::Context::for_server({options.tls.ca, options.tls.certificate, options.tls.key});
}

void listen(bulkhead::http::Server& server, const std::string& host, const TlsContext& tls) {
  if (host.starts_with("unix://")) {
    server.listen_unix(host.substr(7));
  } else if (host.starts_with("tcp://")) {
    std::string address = host.substr(6);
    size_t colon = address.rfind(':');
    uint16_t port = 0;
    const char* end = address.data() + address.size();
    if (colon == std::string::npos || std::from_chars(address.data() + colon + 1, end, port).ptr != end ||
        colon + 1 == address.size()) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--host {}: it has no port, as in tcp://127.0.0.1:2375, or 2376 with TLS", host));
    }
    std::string name = address.substr(0, colon);
    if (name.starts_with('[') && name.ends_with(']')) {
      name = name.substr(1, name.size() - 2);
    }
    port = tls ? server.listen_tls(name, port, tls) : server.listen_tcp(name, port);
    bulkhead::log::info("listening at tcp://{}:{}{}", address.substr(0, colon), port,
                        tls ? " with TLS; clients need a certificate" : "");
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
  app.add_option(
         "-H,--host", options.hosts,
         "Socket to listen at: unix:///path or tcp://127.0.0.1:port (with --tlsverify tcp://any-address:port); may be repeated")
      ->default_str("unix://RUN_ROOT/bulkhead.sock");
  app.add_option("--shim", options.engine.shim, "The shim's executable")->default_str("beside this one");
  app.add_option("--insecure-registry", options.engine.insecure_registries,
                 "Registry (host:port or CIDR) that may be spoken to without TLS; may be repeated");
  app.add_option("--bip,--bridge-subnet", options.engine.bridge_subnet, "Subnet of the default bridge")
      ->default_str("a free one");
  app.add_option("--init-path", options.engine.init_binary, "The init of containers run with --init")
      ->default_str("searched for");
  for (const auto& [name, text] :
       {std::pair{"accelerator", "What runs the VMs of hyperv isolation: kvm, tcg or auto"},
        {"kernel", "The guests' kernel"},
        {"initramfs", "The guests' first file system"},
        {"start", "How a VM begins: pool (takes one that waits), clone (of a template) or cold; each falls back to the next"},
        {"qemu", "The program that runs the VMs"}}) {
    app.add_option_function<std::string>(
        std::string("--vm-") + name,
        [&options, setting = std::string(name)](const std::string& value) { options.engine.vm_settings[setting] = value; },
        text);
  }
  app.add_option("--vm-warm", options.engine.warm_machines,
                 "How many VMs run ahead of the containers that will take them; 0: none, and no template to make them from")
      ->capture_default_str();
  app.add_option("--config-file", options.config_file, "File of settings, in dockerd's format")
      ->default_str(bulkhead::settings::kDefaultFile);
  app.add_option(
      "--exec-opt", options.exec_options,
      "isolation=process or isolation=hyperv: the mode of containers that ask for none (the kind of host decides else)");
  app.add_option("--policy", options.engine.policy_file, "The policy: who may have which container (docs/policy.md)")
      ->default_str("/etc/bulkhead/policy.yaml where it exists");
  for (auto& [name, value, text] :
       {std::tuple{"--tls", &options.tls.tls, "Refused without --tlsverify: it would let in everybody who reaches the port"},
        {"--tlsverify", &options.tls.verify, "Serve TCP with TLS, for clients with a certificate that the CA signed"}}) {
    app.add_flag_function(
        name, [target = value](int64_t count) { *target = count > 0; }, text);
  }
  app.add_option("--tlscacert", options.tls.ca, "The CA's certificate (PEM), which signs those of clients");
  app.add_option("--tlscert", options.tls.certificate, "The engine's own certificate (PEM)");
  app.add_option("--tlskey", options.tls.key, "The engine's own key (PEM), which only its owner may read");
  app.add_option("-p,--pidfile", options.pid_file, "File to write the process id to");
  app.add_flag("-D,--debug", options.debug, "Say more in the log");
}

/// The file first, then the command line.
void apply_settings(Options& options) {
  namespace settings = bulkhead::settings;
  bool is_named = !options.config_file.empty();
  settings::DaemonSettings found = settings::read_daemon_settings(
      is_named ? options.config_file : settings::kDefaultFile, is_named ? settings::Missing::kError : settings::Missing::kFine);
  settings::add_exec_options(found, options.exec_options);
  options.engine.default_isolation = found.isolation;
  options.engine.default_isolation_source = found.isolation_source;
  options.debug = options.debug || found.debug;
  settings::add_tls_options(found.tls, options.tls);
  options.tls = std::move(found.tls);
  auto& registries = options.engine.insecure_registries;
  registries.insert(registries.end(), found.insecure_registries.begin(), found.insecure_registries.end());
}

int run(Options options) {
  apply_settings(options);
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
  if (!options.engine.policy_file.empty()) {
    options.engine.policy_file = std::filesystem::absolute(options.engine.policy_file);
  }
  if (options.hosts.empty()) {
    options.hosts.push_back("unix://" + (options.engine.run_root / "bulkhead.sock").native());
  }
  TlsContext tls = tls_context(options);
  raise_file_limit();
  // Sealed once here instead of by each shim's second execve.
  bulkhead::UniqueFd sealed_shim = bulkhead::linux::open_sealed(options.engine.shim);
  options.engine.sealed_shim = fmt::format("/proc/self/fd/{}", sealed_shim.get());

  bulkhead::engine::Engine engine(options.engine);
  bulkhead::api::Api api(engine);
  bulkhead::http::Server server([&](bulkhead::http::Exchange& exchange) { api.handle(exchange); }, {});
  reload_on_request(engine);
  handle_signals(server);
  for (const std::string& host : options.hosts) {
    listen(server, host, tls);
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
