// Starting a shim, and cleaning up after one: `binary ... start|delete` with the bundle as its working folder, as containerd
// runs its shims.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"
#include "task/client.h"
#include "task/protocol.h"

namespace bulkhead::task {
namespace {

struct Outcome {
  int wait_status = 0;
  std::string out, err;
};

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw system_error("make a pipe");
    }
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

std::vector<std::string> arguments_for(const StartShimRequest& request, const char* action) {
  std::vector<std::string> arguments{
      request.binary.native(), "-namespace",    request.name_space,           "-id", request.id, "-bundle",
      request.bundle.native(), "-cache-folder", request.cache_folder.native()};
  if (!request.log.empty()) {
    arguments.insert(arguments.end(), {"-log", request.log.native()});
  }
  arguments.emplace_back(action);
  return arguments;
}

pid_t spawn(const StartShimRequest& request, const char* action, int out, int err) {
  std::vector<std::string> arguments = arguments_for(request, action);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  // SECURITY: none of the caller's environment: a shim's environment must not reach containers, nor TTRPC_ADDRESS the shim.
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path.data(), nullptr};

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  ScopeGuard release([&] {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  });
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, request.bundle.c_str());
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const std::filesystem::path& program = request.sealed.empty() ? request.binary : request.sealed;
  if (int failure = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environment); failure != 0) {
    throw system_error(fmt::format("run '{}' in '{}'", request.binary.native(), request.bundle.native()), failure);
  }
  return pid;
}

Outcome run(const StartShimRequest& request, const char* action) {
  Pipe out;
  Pipe err;
  pid_t pid = spawn(request, action, out.write.get(), err.write.get());
  out.write.reset();
  err.write.reset();
  Outcome outcome;
  {
    ScopeGuard collect([&] {
      while (::waitpid(pid, &outcome.wait_status, 0) < 0 && errno == EINTR) {
      }
    });
    // One after the other can't block the shim for ever: what it says on either is far less than a pipe holds.
    outcome.out = read_all(out.read.get(), 64UL << 10);
    outcome.err = read_all(err.read.get(), 64UL << 10);
  }
  return outcome;
}

void check(const Outcome& outcome, const StartShimRequest& request, const char* action) {
  if (WIFEXITED(outcome.wait_status) && WEXITSTATUS(outcome.wait_status) == 0) {
    return;
  }
  std::string said = outcome.err.substr(0, 4096);
  while (!said.empty() && said.back() == '\n') {
    said.pop_back();
  }
  throw Error(ErrorCode::kInternal, fmt::format("'{}' {} failed: {}", request.binary.native(), action,
                                                said.empty() ? fmt::format("wait status {}", outcome.wait_status) : said));
}

}  // namespace

std::filesystem::path start_shim(const StartShimRequest& request) {
  Outcome outcome = run(request, "start");
  check(outcome, request, "start");
  std::string_view address = outcome.out;
  while (!address.empty() && address.back() == '\n') {
    address.remove_suffix(1);
  }
  constexpr std::string_view kScheme = "unix://";
  if (!address.starts_with(kScheme)) {
    throw Error(ErrorCode::kInternal, fmt::format("'{}' start printed no address", request.binary.native()));
  }
  return address.substr(kScheme.size());
}

void delete_shim(const StartShimRequest& request) { check(run(request, "delete"), request, "delete"); }

ExitDetails read_exit_details(const std::filesystem::path& bundle) {
  std::filesystem::path path = bundle / kExitFile;
  auto object = nlohmann::json::parse(read_file(path, 1UL << 20), nullptr, false);
  if (!object.is_object()) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' is no JSON object", path.native()));
  }
  try {
    return {.out_of_memory = object.value("out_of_memory", false), .error = object.value("error", "")};
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' has a property of the wrong type", path.native()));
  }
}

}  // namespace bulkhead::task
