#include "support/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>

#include "support/error.h"

namespace bulkhead {
namespace {

/// What posix_spawn is to do before it executes the program, in this order.
class Actions {
 public:
  explicit Actions(const SpawnRequest& request) {
    posix_spawn_file_actions_init(&actions_);
    add_stream(request.in, STDIN_FILENO, O_RDONLY);
    add_stream(request.out, STDOUT_FILENO, O_WRONLY);
    add_stream(request.err, STDERR_FILENO, O_WRONLY);
    if (request.descriptors == SpawnRequest::Descriptors::kStreamsAlone) {
      posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    }
    if (!request.folder.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions_, request.folder.c_str());
    }
  }
  ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  void add_stream(int ours, int theirs, int access) {
    if (ours >= 0) {
      posix_spawn_file_actions_adddup2(&actions_, ours, theirs);
    } else {
      posix_spawn_file_actions_addopen(&actions_, theirs, "/dev/null", access, 0);
    }
  }

  posix_spawn_file_actions_t actions_{};
};

/// Signals as a program expects them, whatever this process does with its own.
class Attributes {
 public:
  explicit Attributes(SpawnRequest::Session session) {
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (session == SpawnRequest::Session::kOwn) {
      flags |= POSIX_SPAWN_SETSID;
    }
    posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

}  // namespace

pid_t spawn(const SpawnRequest& request) {
  std::vector<char*> argv;
  argv.reserve(request.arguments.size() + 1);
  for (const std::string& argument : request.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  // SECURITY: none of our environment: a shim's must not reach containers, nor TTRPC_ADDRESS the shim.
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* path_alone[] = {path.data(), nullptr};
  char** environment = request.environment == SpawnRequest::Environment::kPathAlone ? path_alone : environ;
  Actions actions(request);
  Attributes attributes(request.session);
  pid_t pid = 0;
  if (int failure = ::posix_spawnp(&pid, request.program.c_str(), actions.get(), attributes.get(), argv.data(), environment);
      failure != 0) {
    throw system_error(fmt::format("run '{}'", request.arguments.empty() ? request.program.native() : request.arguments[0]),
                       failure);
  }
  return pid;
}

}  // namespace bulkhead
