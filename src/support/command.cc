#include "support/command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "support/error.h"
#include "support/pipe.h"
#include "support/scope_guard.h"
#include "support/spawn.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxOutput = 16UL << 20;
constexpr size_t kMaxComplaint = 4096;

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
  pid_t pid = spawn({.program = command.program,
                     .arguments = command.arguments,
                     .folder = command.folder,
                     .out = out.write.get(),
                     .err = err.write.get()});
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
