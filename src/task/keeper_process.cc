#include "task/keeper_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/error.h"
#include "support/pipe.h"
#include "support/scope_guard.h"

namespace bulkhead::task {
namespace {

std::vector<std::string> arguments_for(const KeeperRequest& request) {
  return {request.binary.native(),
          "-cache-folder",
          request.cache_folder.native(),
          "vm-keeper",
          "--socket",
          (request.cache_folder / "vm-keeper.sock").native(),
          "--warm",
          std::to_string(request.warm),
          "--cgroup",
          request.cgroup};
}

pid_t spawn(const KeeperRequest& request, int lifeline) {
  std::vector<std::string> arguments = arguments_for(request);
  std::vector<char*> argv;
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
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
  posix_spawn_file_actions_adddup2(&actions, lifeline, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, request.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  if (int failure = ::posix_spawn(&pid, request.binary.c_str(), &actions, &attributes, argv.data(), environment);
      failure != 0) {
    throw system_error(fmt::format("run '{}' vm-keeper", request.binary.native()), failure);
  }
  return pid;
}

}  // namespace

KeeperProcess::KeeperProcess(const KeeperRequest& request) {
  Pipe lifeline;
  pid_ = spawn(request, lifeline.read.get());
  lifeline_ = std::move(lifeline.write);
}

KeeperProcess::~KeeperProcess() {
  lifeline_.reset();
  constexpr int kPatience = 1000;  // milliseconds
  for (int waited = 0; runs(); waited += 10) {
    if (waited >= kPatience) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      return;
    }
    ::usleep(10'000);
  }
}

bool KeeperProcess::runs() {
  if (pid_ != 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) {
    pid_ = 0;
  }
  return pid_ != 0;
}

}  // namespace bulkhead::task
