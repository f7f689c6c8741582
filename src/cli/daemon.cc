#include "cli/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cli/api.h"
#include "support/error.h"
#include "support/files.h"
#include "support/spawn.h"

namespace bulkhead::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::string_view kDefaultRunRoot = "/run/bulkhead";
constexpr seconds kStartLimit{30};
// How long to go on asking after our own engine ended: another client's may have won the lock and still be starting.
constexpr seconds kOtherEngineLimit{5};

std::filesystem::path daemon_executable() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return self.parent_path() / "bulkheadd";
}

std::vector<std::string> daemon_arguments(const Place& place, const http::Address& address, const std::string& executable) {
  // The daemon runs in "/": paths that are relative to here must not be relative there.
  std::vector<std::string> arguments = {executable, "--host", address.text()};
  if (!place.root.empty()) {
    arguments.insert(arguments.end(), {"--root", std::filesystem::absolute(place.root).string()});
  }
  if (!place.run_root.empty()) {
    arguments.insert(arguments.end(), {"--run-root", std::filesystem::absolute(place.run_root).string()});
  }
  return arguments;
}

bool answers(const http::Address& address) {
  try {
    http::Connection connection = http::Connection::open(address);
    connection.send({.method = "HEAD", .target = "/_ping", .headers = {}}, "");
    return connection.wait_readable(seconds(5)) && connection.receive_head().status == 200;
  } catch (const Error&) {
    return false;  // not yet
  }
}

/// What the engine wrote to its log since it had `start` bytes: the last line.
std::string last_words(const std::filesystem::path& log, off_t start) {
  UniqueFd file = open_file(log, O_RDONLY);
  struct stat status {};
  if (fstat(file.get(), &status) == 0) {
    lseek(file.get(), std::max(start, status.st_size - 4096), SEEK_SET);
  }
  std::string text = read_all(file.get());
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  return text.substr(text.rfind('\n') + 1);
}

bool wait_until_it_answers(const http::Address& address, int process) {
  auto limit = steady_clock::now() + kStartLimit;
  bool ended = false;
  for (milliseconds pause{2}; steady_clock::now() < limit; pause = std::min(pause * 2, milliseconds(50))) {
    if (answers(address)) {
      return true;
    }
    pollfd entry{.fd = process, .events = POLLIN, .revents = 0};
    if (ended) {
      std::this_thread::sleep_for(pause);
    } else if (poll(&entry, 1, static_cast<int>(pause.count())) > 0) {
      ended = true;
      limit = steady_clock::now() + kOtherEngineLimit;
    }
  }
  return false;
}

}  // namespace

std::filesystem::path run_root_of(const Place& place) {
  return place.run_root.empty() ? std::filesystem::path(kDefaultRunRoot) : std::filesystem::absolute(place.run_root);
}

void start_daemon(const Place& place, const http::Address& address) {
  std::string executable = daemon_executable();
  if (access(executable.c_str(), X_OK) != 0) {
    throw Error(ErrorCode::kUnavailable, fmt::format("no engine listens at '{}', and there is no '{}' to start; name another "
                                                     "with --host",
                                                     address.text(), executable));
  }
  std::filesystem::path log_path = run_root_of(place) / "bulkheadd.log";
  UniqueFd log;
  try {
    make_folders(log_path.parent_path(), 0711);
    log = open_file(log_path, O_WRONLY | O_CREAT | O_APPEND, 0640);
  } catch (const Error& error) {
    throw error.wrap(fmt::format("no engine listens at '{}', and it can't be started", address.text()));
  }
  off_t start = lseek(log.get(), 0, SEEK_END);
  pid_t pid = spawn({.program = executable,
                     .arguments = daemon_arguments(place, address, executable),
                     .folder = "/",
                     .out = log.get(),
                     .err = log.get(),
                     .session = SpawnRequest::Session::kOwn,
                     .environment = SpawnRequest::Environment::kCallers,
                     // Those that our caller left open (a test's pipes, a shell's) would otherwise live as long as the engine.
                     .descriptors = SpawnRequest::Descriptors::kStreamsAlone});
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process) {
    throw system_error("pidfd_open");
  }
  if (!wait_until_it_answers(address, process.get())) {
    std::string words = last_words(log_path, start);
    throw Error(ErrorCode::kUnavailable,
                fmt::format("the engine was started but doesn't answer at '{}': {} (log: {})", address.text(),
                            words.empty() ? "it said nothing" : words, log_path.string()));
  }
}

}  // namespace bulkhead::cli
