#include "shim/commands.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "linux/pidfd.h"
#include "shim/command_line.h"
#include "shim/listener.h"
#include "shim/shim.h"
#include "support/files.h"
#include "support/log.h"
#include "task/protocol.h"
#include "task/task.pb.h"
#include "ttrpc/client.h"
#include "ttrpc/unix_address.h"

namespace bulkhead::shim {
namespace {

constexpr const char* kRunFolder = "/run/bulkhead";  // what isn't the engine's: shims that containerd started

/// FNV-1a: `start` and `delete` must find the same name for a bundle, nothing more.
uint64_t name_hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (unsigned char byte : text) {
    hash = (hash ^ byte) * 0x100000001b3ULL;
  }
  return hash;
}

/// SECURITY: a folder that only root can reach into, whatever was there before.
void make_private_folder(const std::filesystem::path& path) {
  make_folders(path, 0700);
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & 0022) != 0) {
    throw Error(ErrorCode::kPermissionDenied, fmt::format("'{}' is not a folder of our own", path.native()));
  }
}

/// In the bundle where sun_path holds it (clients of containerd dial the plain path), else at a short name.
std::filesystem::path task_socket_of(const std::filesystem::path& bundle) {
  std::filesystem::path path = bundle / task::kTaskSocket;
  if (path.native().size() > ttrpc::kMaxSocketPath) {
    path = fmt::format("{}/s/{:016x}.sock", kRunFolder, name_hash(bundle.native()));
  }
  return path;
}

CommandLine complete(CommandLine line) {
  line.bundle = line.bundle.empty() ? std::filesystem::current_path() : std::filesystem::absolute(line.bundle);
  if (line.cache_folder.empty()) {
    line.cache_folder = fmt::format("{}/cache", kRunFolder);
  }
  return line;
}

void redirect(int to, const std::filesystem::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (fd) {
    ::dup2(fd.get(), to);
  }
}

/// Cuts what ties the serving child to whoever ran `start`; that one reads our standard output and error to their end.
void detach(const CommandLine& line) {
  ::setsid();
  redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
  redirect(STDOUT_FILENO, "/dev/null", O_WRONLY);
  redirect(STDERR_FILENO, "/dev/null", O_WRONLY);
  struct stat status {};
  if (!line.log.empty()) {
    redirect(STDERR_FILENO, line.log, O_WRONLY | O_CREAT | O_APPEND);
  } else if (::stat("log", &status) == 0 && S_ISFIFO(status.st_mode)) {
    // containerd's: for reading too, so that a containerd that restarts is no SIGPIPE for us.
    redirect(STDERR_FILENO, "log", O_RDWR | O_NONBLOCK);
  }
  if (line.debug) {
    log::set_level(log::Level::kDebug);
  }
  // Orphans of the container become our children, to be collected.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int start(const CommandLine& line, const IsolationRegistry& isolations) {
  ShimSettings settings{.id = line.id,
                        .name_space = line.name_space,
                        .bundle = line.bundle,
                        .cache_folder = line.cache_folder,
                        .events_address = {},
                        .task_socket = task_socket_of(line.bundle),
                        .attach_socket = line.bundle / task::kAttachSocket};
  if (const char* address = std::getenv("TTRPC_ADDRESS"); address != nullptr) {
    settings.events_address = address;
  }
  if (::chdir(line.bundle.c_str()) != 0) {
    throw system_error(fmt::format("enter bundle '{}'", line.bundle.native()));
  }
  if (settings.task_socket.parent_path() != line.bundle) {
    make_private_folder(settings.task_socket.parent_path());
  }
  make_private_folder(line.cache_folder);
  UniqueFd task_socket = listen_at(settings.task_socket);
  UniqueFd attach_socket = listen_at(settings.attach_socket);
  std::string address = "unix://" + settings.task_socket.native();
  replace_file(line.bundle / task::kAddressFile, address, 0600, Durability::kUnsynced);

  // The sockets listen: a client that connects before the child runs waits in the backlog. No second exec is needed.
  pid_t child = ::fork();
  if (child < 0) {
    throw system_error("fork the serving shim");
  }
  if (child > 0) {
    write_all(STDOUT_FILENO, address);
    ::_exit(0);  // without destructors: the socket files are the child's now
  }
  detach(line);
  ::listen(task_socket.get(), 128);  // again, by whom it belongs to now: SO_PEERCRED tells `delete` this process's id
  try {
    Shim(std::move(settings), isolations, std::move(task_socket), std::move(attach_socket)).run();
  } catch (const std::exception& error) {
    log::error("the shim of '{}' ends: {}", line.id, error.what());
    return 1;
  }
  return 0;
}

/// Ends a shim that still runs, so that nothing starts while we remove. Does nothing where none listens.
void end_running_shim(const std::filesystem::path& socket_path) {
  UniqueFd socket;
  try {
    socket = ttrpc::connect_unix(socket_path);
  } catch (const Error&) {
    return;
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) {
    return;
  }
  constexpr int kPatience = 5000;  // milliseconds
  try {
    UniqueFd process = linux::open_pidfd(peer.pid);
    linux::send_signal(process.get(), SIGKILL);
    pollfd ended{.fd = process.get(), .events = POLLIN, .revents = 0};
    ::poll(&ended, 1, kPatience);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) {
      throw;
    }
  }
}

int remove(const CommandLine& line, const IsolationRegistry& isolations) {
  std::filesystem::path task_socket = task_socket_of(line.bundle);
  end_running_shim(task_socket);
  std::filesystem::path state_folder = line.bundle / task::kStateFolder;
  try {
    oci::Spec spec = oci::parse_spec(read_file(line.bundle / "config.json"));
    isolations.make(spec, line.cache_folder)->clean_up(line.id, spec, state_folder);
  } catch (const Error& error) {
    // A config.json that isn't there or is refused was refused by Create too: nothing was made of it.
    if (error.code() != ErrorCode::kNotFound && error.code() != ErrorCode::kInvalidArgument &&
        error.code() != ErrorCode::kNotSupported) {
      throw;
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(state_folder, ignored);
  for (const std::filesystem::path& path : {task_socket, line.bundle / task::kAttachSocket, line.bundle / task::kAddressFile}) {
    std::filesystem::remove(path, ignored);
  }
  containerd::task::v2::DeleteResponse response;
  response.set_exit_status(128 + SIGKILL);
  task::to_timestamp(now(), *response.mutable_exited_at());
  write_all(STDOUT_FILENO, response.SerializeAsString());
  return 0;
}

int print_version() {
  write_all(STDOUT_FILENO, fmt::format("containerd-shim-bulkhead-v2:\n  Version:  {}\n", BULKHEAD_VERSION));
  return 0;
}

}  // namespace

int run_command(int argc, char** argv, const IsolationRegistry& isolations) {
  // SECURITY: nothing that a careless caller left open may reach a container.
  ::close_range(3, ~0U, 0);
  try {
    CommandLine line = complete(parse_command_line(std::vector<std::string>(argv + 1, argv + argc)));
    if (line.version) {
      return print_version();
    }
    if (line.action == "isolations") {
      write_all(STDOUT_FILENO, isolations.describe(line.cache_folder) + "\n");
      return 0;
    }
    return line.action == "start" ? start(line, isolations) : remove(line, isolations);
  } catch (const std::exception& error) {
    std::string text = fmt::format("containerd-shim-bulkhead-v2: {}\n", error.what());
    (void)!::write(STDERR_FILENO, text.data(), text.size());
    return 1;
  }
}

}  // namespace bulkhead::shim
