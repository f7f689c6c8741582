#include "task/keeper_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/files.h"
#include "support/pipe.h"
#include "support/spawn.h"

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
          "--blank",
          request.blank_disk.native(),
          "--cgroup",
          request.cgroup};
}

}  // namespace

KeeperProcess::KeeperProcess(const KeeperRequest& request) {
  Pipe lifeline;
  UniqueFd log = open_file(request.log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_ = spawn({.program = request.binary,
                .arguments = arguments_for(request),
                .folder = {},
                .in = lifeline.read.get(),
                .err = log.get(),
                .session = SpawnRequest::Session::kOwn});
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
