#include "agent/guest/process_table.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "linux/process_stat.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::agent {
namespace {

constexpr int kPseudoTerminal = 136;  // major number of /dev/pts/* (Documentation/admin-guide/devices.txt)
constexpr int64_t kSecond = 1'000'000'000;

int64_t nanoseconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

std::string terminal_of(int device) {
  // As stat's tty_nr packs it: minor in bits 31 to 20 and 7 to 0, major in bits 15 to 8.
  int number = (device & 0xff) | ((device >> 12) & 0xfff00);
  return (device >> 8 & 0xff) == kPseudoTerminal ? fmt::format("pts/{}", number) : "";
}

/// The effective one: a process that can't be dumped is root's to stat(2).
uid_t user_of(const std::string& status) {
  size_t line = status.find("\nUid:");
  std::istringstream fields(line == std::string::npos ? "" : status.substr(line + 5));
  uid_t real = 0;
  uid_t effective = 0;
  fields >> real >> effective;
  return effective;
}

uint64_t memory_of(const std::string& status) {
  constexpr uint64_t kUnit = 1024;
  size_t line = status.find("\nVmRSS:");
  std::istringstream fields(line == std::string::npos ? "" : status.substr(line + 7));
  uint64_t size = 0;
  fields >> size;
  return size * kUnit;
}

std::string command_of(pid_t pid, const std::string& name) {
  std::string command = read_file(fmt::format("/proc/{}/cmdline", pid), 1UL << 20).substr(0, kMaxCommand);
  while (!command.empty() && command.back() == '\0') {
    command.pop_back();
  }
  for (char& c : command) {
    if (c == '\0' || c == '\n') {
      c = ' ';
    }
  }
  return command.empty() ? "[" + name + "]" : command;
}

}  // namespace

void describe_process(pid_t pid, wire::ProcessesResponse& response) {
  try {
    std::string folder = fmt::format("/proc/{}", pid);
    auto stat = linux::ProcessStat::parse(read_file(folder + "/stat", 4096));
    constexpr size_t kParent = 4;
    constexpr size_t kTerminal = 7;
    constexpr size_t kUserTime = 14;
    constexpr size_t kSystemTime = 15;
    constexpr size_t kStart = 22;
    if (!stat || stat->field(kStart).empty()) {
      return;
    }
    int64_t ticks = ::sysconf(_SC_CLK_TCK);
    int64_t since_boot = std::stoll(stat->field(kStart)) * (kSecond / ticks);
    wire::Process& process = *response.add_processes();
    process.set_pid(static_cast<uint32_t>(pid));
    process.set_parent(static_cast<uint32_t>(std::stoul(stat->field(kParent))));
    std::string status = read_file(folder + "/status", 64UL << 10);
    process.set_user(user_of(status));
    process.set_memory(memory_of(status));
    process.set_started(nanoseconds_of(CLOCK_REALTIME) - nanoseconds_of(CLOCK_BOOTTIME) + since_boot);
    process.set_processor_time((std::stoull(stat->field(kUserTime)) + std::stoull(stat->field(kSystemTime))) * 1000 /
                               static_cast<uint64_t>(ticks));
    process.set_terminal(terminal_of(std::stoi(stat->field(kTerminal))));
    process.set_command(command_of(pid, stat->name()));
  } catch (const Error&) {  // it has ended
  }
}

}  // namespace bulkhead::agent
