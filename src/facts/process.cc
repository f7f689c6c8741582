#include "facts/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "facts/facts.pb.h"
#include "facts/status.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::facts {
namespace {

constexpr size_t kLongestCommand = 256;
constexpr pid_t kFirst = 1;

struct Kind {
  const char* name;  // in an OCI spec
  const char* file;  // below /proc/PID/ns
};
constexpr std::array kKinds = {Kind{"mount", "mnt"}, Kind{"pid", "pid"},   Kind{"network", "net"},   Kind{"ipc", "ipc"},
                               Kind{"uts", "uts"},   Kind{"user", "user"}, Kind{"cgroup", "cgroup"}, Kind{"time", "time"}};

/// SECURITY: the process makes both texts itself, as long as it likes: only their beginning is read.
std::string head_of(const std::string& path) {
  UniqueFd file = open_file(path, O_RDONLY);
  std::string text(kLongestCommand, '\0');
  ssize_t count = ::read(file.get(), text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

std::string command_of(pid_t pid) {
  std::string command = head_of(fmt::format("/proc/{}/cmdline", pid));
  while (!command.empty() && command.back() == '\0') {
    command.pop_back();
  }
  std::replace(command.begin(), command.end(), '\0', ' ');
  if (!command.empty()) {
    return command;
  }
  std::string name = head_of(fmt::format("/proc/{}/comm", pid));
  return "[" + name.substr(0, name.find('\n')) + "]";
}

}  // namespace

uint64_t namespace_inode(pid_t pid, std::string_view file) {
  struct stat status {};
  return ::stat(fmt::format("/proc/{}/ns/{}", pid, file).c_str(), &status) == 0 ? status.st_ino : 0;
}

uint64_t namespace_of(const Process& process, std::string_view kind) {
  for (const Namespace& each : process.namespaces()) {
    if (each.kind() == kind) {
      return each.inode();
    }
  }
  return 0;
}

void describe_process(pid_t pid, Process& process) {
  std::string folder = fmt::format("/proc/{}", pid);
  process.set_pid(pid);
  read_status(read_file(folder + "/status", 64UL << 10), process);
  process.set_processor_time(
      processor_time_of(read_file(folder + "/stat", 4096), static_cast<uint64_t>(std::max(::sysconf(_SC_CLK_TCK), 1L))));
  process.set_command(command_of(pid));
  for (const Kind& kind : kKinds) {
    if (uint64_t inode = namespace_inode(pid, kind.file); inode != 0) {
      Namespace& found = *process.add_namespaces();
      found.set_kind(kind.name);
      found.set_inode(inode);
      // PID 1 can't always be asked: it may hold capabilities that we don't (ptrace(2), "access mode checking").
      found.set_outer(inode == namespace_inode(::getpid(), kind.file) || inode == namespace_inode(kFirst, kind.file));
    }
  }
}

}  // namespace bulkhead::facts
