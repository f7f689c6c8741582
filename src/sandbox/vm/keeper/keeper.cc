#include "sandbox/vm/keeper/keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <thread>

#include "linux/cgroup.h"
#include "sandbox/vm/keeper/stock.h"
#include "sandbox/vm/keeper/workshop.h"
#include "sandbox/vm/keeper_client.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "ttrpc/unix_address.h"

namespace bulkhead::sandbox::vm {
namespace {

uint64_t parse_number(const std::string& name, const std::string& text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} wants a number, not '{}'", name, text));
  }
  return number;
}

/// One keeper at a time: the one before, whose engine has ended, still removes what it made.
UniqueFd become_the_only_one(const std::filesystem::path& folder) {
  UniqueFd lock = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (::flock(lock.get(), LOCK_EX) != 0) {
    throw system_error("wait for the keeper before");
  }
  return lock;
}

UniqueFd listen_at(const std::filesystem::path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    throw system_error("make a unix socket");
  }
  ::unlink(path.c_str());
  ttrpc::UnixAddress address(path);
  mode_t before = ::umask(0177);
  int bound = ::bind(socket.get(), address.get(), address.size());
  ::umask(before);
  if (bound != 0 || ::listen(socket.get(), 128) != 0) {
    throw system_error(fmt::format("listen at '{}'", path.native()));
  }
  return socket;
}

/// Signals come by descriptor, in every thread: a keeper that is told to end removes what it made.
UniqueFd take_signals() {
  (void)::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) {
    ::sigaddset(&signals, number);
  }
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  UniqueFd file(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!file) {
    throw system_error("take signals by descriptor");
  }
  return file;
}

enum class Told { kNothing, kToEnd };

Told read_signals(int file) {
  Told told = Told::kNothing;
  signalfd_siginfo info{};
  while (::read(file, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo != SIGCHLD) {
      told = Told::kToEnd;
    }
  }
  return told;
}

void serve_connection(int listening, Stock& stock, const std::filesystem::path& blank) {
  UniqueFd connection(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) {
    return;
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  // SECURITY: what is given away here is a running VM, or what one is made of.
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != ::geteuid()) {
    return;
  }
  try {
    KeeperRequest request = receive_request(connection.get());
    if (blank.empty() || request.blank != blank_identity(blank)) {
      request.container.clear();  // its disk has another size: it can't become one that was made here
    }
    if (request.wanted == Wanted::kCount) {
      send_answer(connection.get(), stock.count(request.key));
    } else if (request.wanted == Wanted::kRemoval) {
      log::warn("vm-keeper: a template was found broken and is made anew");
      stock.remove(request.kind());
      send_answer(connection.get(), {});
    } else {
      // A key that the files here don't have (they are being replaced): nothing is made for it.
      send_answer(connection.get(), template_key(request) == request.key ? stock.take(request) : KeeperAnswer());
    }
  } catch (const Error& error) {
    log::warn("vm-keeper: {}", error.message());
  }
}

/// The maker's thread.
void make(Stock& stock, const Configuration& configuration, const linux::Cgroup& cgroup, const KeeperOptions& options) {
  std::optional<Workshop> workshop;
  while (auto job = stock.await_job()) {
    std::string kind = job->request.kind();
    try {
      if (!workshop) {
        workshop.emplace(configuration, cgroup, options.socket.parent_path(), options.blank);
      }
      if (job->from) {
        stock.put(kind, workshop->make_warm(job->request, *job->from));
      } else {
        stock.put(kind, workshop->make_template(job->request));
      }
    } catch (const std::exception& error) {
      if (stock.note_failure(kind)) {
        log::warn("vm-keeper: make a {}{}: {}", job->from ? "VM that waits" : "template",
                  job->request.container.empty() ? "" : " with a container of '" + job->request.image.disk.native() + "'",
                  error.what());
      }
    }
  }
}

void serve(int listening, int signals, Stock& stock, const std::filesystem::path& blank) {
  for (;;) {
    std::array<pollfd, 3> ready{{{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                                 {.fd = signals, .events = POLLIN, .revents = 0},
                                 {.fd = listening, .events = POLLIN, .revents = 0}}};
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) {
      throw system_error("poll");
    }
    char byte = 0;
    if (ready[0].revents != 0 && ::read(STDIN_FILENO, &byte, 1) <= 0) {
      return;  // the engine is gone
    }
    if (ready[1].revents != 0 && read_signals(signals) == Told::kToEnd) {
      return;
    }
    if (ready[2].revents != 0) {
      serve_connection(listening, stock, blank);
    }
    stock.collect_ended();
  }
}

/// Lowest weight: what the keeper does in the background shall not slow what containers do.
oci::Resources background() {
  oci::Resources resources;
  resources.cpu_shares = 2;
  return resources;
}

}  // namespace

KeeperOptions parse_keeper_options(const std::vector<std::string>& arguments) {
  KeeperOptions options;
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    if (i + 1 == arguments.size()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{} wants a value", name));
    }
    const std::string& value = arguments[i + 1];
    if (name == "--socket") {
      options.socket = value;
    } else if (name == "--warm") {
      options.warm = static_cast<unsigned>(std::min<uint64_t>(parse_number(name, value), 64));
    } else if (name == "--memory") {
      options.memory.push_back(parse_number(name, value));
    } else if (name == "--cgroup") {
      options.cgroup = value;
    } else if (name == "--blank") {
      options.blank = value;
    } else if (name == "--quiet") {
      options.quiet = std::chrono::milliseconds(std::min<uint64_t>(parse_number(name, value), 60'000));
    } else {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("vm-keeper has no option '{}'", name));
    }
  }
  if (options.socket.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "vm-keeper wants --socket PATH");
  }
  return options;
}

int run_vm_keeper(const Configuration& given, const KeeperOptions& options) {
  Configuration configuration = with_built_in_kernel(given);
  Machine::check(configuration);
  std::filesystem::path folder = options.socket.parent_path();
  UniqueFd signals = take_signals();
  UniqueFd lock = become_the_only_one(folder);
  linux::Cgroup cgroup(options.cgroup);
  cgroup.kill_all();  // VMs of a keeper that was killed
  cgroup.create(background());
  UniqueFd listening = listen_at(options.socket);
  Stock stock(options.warm, options.quiet);
  for (uint64_t memory : options.memory) {
    MachineShape shape{.accelerator = accelerator_of(configuration), .memory = memory, .processors = configuration.processors};
    stock.expect(make_request(configuration, shape, Wanted::kWarm));
  }
  std::thread maker([&] { make(stock, configuration, cgroup, options); });

  serve(listening.get(), signals.get(), stock, options.blank);

  ::unlink(options.socket.c_str());
  stock.stop();
  // Whatever the maker waits for dies here; it makes one more VM at most, which the second look finds.
  cgroup.kill_all();
  maker.join();
  cgroup.kill_all();
  cgroup.remove();
  std::error_code ignored;
  std::filesystem::remove(folder / "vm-keeper-root", ignored);
  return 0;
}

}  // namespace bulkhead::sandbox::vm
