#include "doctor/trial.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>

#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"

namespace bulkhead::doctor {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMaxOutput = 64UL << 10;

/// Reads to the end; false where the time was up before that.
bool read_until(int fd, steady_clock::time_point end, std::string& text) {
  for (;;) {
    auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count();
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    int ready = ::poll(&entry, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      return false;
    }
    std::array<char, 4096> piece{};
    ssize_t size = ::read(fd, piece.data(), piece.size());
    if (size <= 0) {
      return true;
    }
    text.append(piece.data(), std::min(static_cast<size_t>(size), kMaxOutput - std::min(kMaxOutput, text.size())));
  }
}

/// The status of waitpid(2), after a kill where the time is up.
int collect(pid_t pid, bool in_time) {
  if (!in_time) {
    ::kill(pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

pid_t fork_child() {
  (void)std::fflush(nullptr);  // or both would print what is buffered
  pid_t pid = ::fork();
  if (pid < 0) {
    throw system_error("make a process");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  }
  return pid;
}

[[noreturn]] void run_attempt(const std::function<void()>& attempt, int channel) {
  std::string message;
  ErrorCode code = ErrorCode::kInternal;
  try {
    attempt();
    ::_exit(0);
  } catch (const Error& error) {
    message = error.message();
    code = error.code();
  } catch (const std::exception& error) {
    message = error.what();
  }
  [[maybe_unused]] ssize_t written = ::write(channel, message.data(), message.size());
  ::_exit(1 + static_cast<int>(code));
}

[[noreturn]] void execute(std::vector<std::string>& command, int output) {
  std::vector<char*> pointers;
  std::transform(command.begin(), command.end(), std::back_inserter(pointers), [](std::string& word) { return word.data(); });
  pointers.push_back(nullptr);
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  char* environment[] = {nullptr};
  ::execve(pointers[0], pointers.data(), environment);
  ::_exit(127);
}

}  // namespace

std::optional<Failure> try_in_child(const std::function<void()>& attempt, milliseconds limit) {
  Pipe channel;
  pid_t pid = fork_child();
  if (pid == 0) {
    channel.read.reset();
    run_attempt(attempt, channel.write.get());
  }
  channel.write.reset();
  std::string message;
  bool in_time = read_until(channel.read.get(), steady_clock::now() + limit, message);
  int status = collect(pid, in_time);
  if (!in_time) {
    return Failure{.why = fmt::format("it took longer than {} ms", limit.count())};
  }
  if (WIFSIGNALED(status)) {
    return Failure{.why = fmt::format("killed by signal {}", WTERMSIG(status))};
  }
  if (WEXITSTATUS(status) == 0) {
    return std::nullopt;
  }
  return Failure{.why = std::move(message), .code = static_cast<ErrorCode>(WEXITSTATUS(status) - 1)};
}

std::string remedy_of(const std::optional<Failure>& failure, std::string otherwise) {
  if (!failure) {
    return "";
  }
  return failure->code == ErrorCode::kPermissionDenied ? rights_remedy() : std::move(otherwise);
}

std::string rights_remedy() {
  return ::geteuid() != 0 ? "sudo bulkhead doctor"
                          : "run this with CAP_SYS_ADMIN and CAP_NET_ADMIN, outside of any unprivileged container";
}

void enter_namespaces(int flags) {
  if (::unshare(flags) != 0) {
    throw system_error("unshare");
  }
  if ((flags & CLONE_NEWNS) != 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    throw system_error("make the mounts private");
  }
}

ProgramResult run_program(std::vector<std::string> command, milliseconds limit) {
  Pipe channel;
  pid_t pid = fork_child();
  if (pid == 0) {
    execute(command, channel.write.get());
  }
  channel.write.reset();
  ProgramResult result;
  bool in_time = read_until(channel.read.get(), steady_clock::now() + limit, result.output);
  int status = collect(pid, in_time);
  result.code = in_time && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

std::string find_program(const std::vector<std::string>& paths) {
  auto found =
      std::find_if(paths.begin(), paths.end(), [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; });
  return found == paths.end() ? "" : *found;
}

}  // namespace bulkhead::doctor
