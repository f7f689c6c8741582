#include "support/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "support/error.h"
#include "support/pipe.h"
#include "support/scope_guard.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxOutput = 16UL << 20;
constexpr size_t kMaxComplaint = 4096;

pid_t spawn(const Command& command, int out, int err) {
  std::vector<char*> argv;
  argv.reserve(command.arguments.size() + 1);
  for (const std::string& argument : command.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  // SECURITY: none of our environment: a shim's must not reach containers, nor TTRPC_ADDRESS the shim.
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
  if (!command.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
  }
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  if (int failure = ::posix_spawnp(&pid, command.program.c_str(), &actions, &attributes, argv.data(), environment);
      failure != 0) {
    throw system_error(fmt::format("run '{}'", command.arguments.empty() ? command.program.native() : command.arguments[0]),
                       failure);
  }
  return pid;
}

/// False at the end of the stream.
bool read_some(int fd, std::string& text) {
  std::array<char, 64UL << 10> bytes;
  ssize_t count = ::read(fd, bytes.data(), bytes.size());
  if (count > 0) {
    text.append(bytes.data(), static_cast<size_t>(count));
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

/// Both at once: a program that waits for room in one pipe would never close the other.
void read_both(UniqueFd& out, UniqueFd& err, CommandOutcome& outcome) {
  while (out || err) {
    std::array<pollfd, 2> ends{
        {{.fd = out.get(), .events = POLLIN, .revents = 0}, {.fd = err.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(ends.data(), ends.size(), -1) < 0) {
      continue;  // EINTR
    }
    if (ends[0].revents != 0 && !read_some(out.get(), outcome.out)) {
      out.reset();
    }
    if (ends[1].revents != 0 && !read_some(err.get(), outcome.err)) {
      err.reset();
    }
    if (outcome.out.size() + outcome.err.size() > kMaxOutput) {
      throw Error(ErrorCode::kResourceExhausted, fmt::format("a program printed more than {} bytes", kMaxOutput));
    }
  }
}

}  // namespace

std::string CommandOutcome::complaint() const {
  std::string said = err.substr(0, kMaxComplaint);
  while (!said.empty() && said.back() == '\n') {
    said.pop_back();
  }
  if (!said.empty()) {
    return said;
  }
  return WIFSIGNALED(wait_status) ? fmt::format("it was ended by signal {}", WTERMSIG(wait_status))
                                  : fmt::format("it ended with status {}", WEXITSTATUS(wait_status));
}

CommandOutcome run_command(const Command& command) {
  Pipe out;
  Pipe err;
  pid_t pid = spawn(command, out.write.get(), err.write.get());
  out.write.reset();
  err.write.reset();
  CommandOutcome outcome;
  {
    ScopeGuard collect([&] {
      out.read.reset();
      err.read.reset();
      while (::waitpid(pid, &outcome.wait_status, 0) < 0 && errno == EINTR) {
      }
    });
    read_both(out.read, err.read, outcome);
  }
  return outcome;
}

}  // namespace bulkhead
