#include "engine/process_columns.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <sstream>

#include "support/error.h"
#include "support/time.h"

namespace bulkhead::engine {
namespace {

using task::InnerProcess;

/// ps knows names of users by the host's files; inside a container only root is surely the same.
std::string user_name(uid_t user) { return user == 0 ? "root" : std::to_string(user); }

std::string start_time(TimePoint started) {
  time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(started));
  bool today = now() - started < std::chrono::hours(24);
  tm local{};
  localtime_r(&seconds, &local);
  return today ? fmt::format("{:%H:%M}", local) : fmt::format("{:%b%d}", local);
}

std::string processor_time(uint64_t milliseconds) {
  uint64_t seconds = milliseconds / 1000;
  return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string short_processor_time(uint64_t milliseconds) {
  return fmt::format("{}:{:02}", milliseconds / 60'000, milliseconds / 1000 % 60);
}

uint64_t processor_share(const InnerProcess& process) {
  auto lived = std::chrono::duration_cast<std::chrono::milliseconds>(now() - process.started).count();
  return lived <= 0 ? 0 : process.processor_time * 100 / static_cast<uint64_t>(lived);
}

std::string program(const InnerProcess& process) {
  std::string first = process.command.substr(0, process.command.find(' '));
  return first.substr(first.rfind('/') + 1);
}

std::string terminal(const InnerProcess& process) { return process.terminal.empty() ? "?" : process.terminal; }

struct Column {
  const char* name;   // as ps -o takes it
  const char* title;  // as ps writes it
  std::function<std::string(pid_t pid, const InnerProcess& process)> text;
};

const std::vector<Column>& known_columns() {
  static const std::vector<Column> kColumns = {
      {"user", "USER", [](pid_t, const InnerProcess& process) { return user_name(process.user); }},
      {"uid", "UID", [](pid_t, const InnerProcess& process) { return std::to_string(process.user); }},
      {"pid", "PID", [](pid_t pid, const InnerProcess&) { return std::to_string(pid); }},
      {"ppid", "PPID", [](pid_t, const InnerProcess& process) { return std::to_string(process.parent); }},
      {"c", "C", [](pid_t, const InnerProcess& process) { return std::to_string(processor_share(process)); }},
      {"pcpu", "%CPU", [](pid_t, const InnerProcess& process) { return fmt::format("{}.0", processor_share(process)); }},
      {"rss", "RSS", [](pid_t, const InnerProcess& process) { return std::to_string(process.memory / 1024); }},
      {"stime", "STIME", [](pid_t, const InnerProcess& process) { return start_time(process.started); }},
      {"start", "START", [](pid_t, const InnerProcess& process) { return start_time(process.started); }},
      {"tty", "TTY", [](pid_t, const InnerProcess& process) { return terminal(process); }},
      {"time", "TIME", [](pid_t, const InnerProcess& process) { return processor_time(process.processor_time); }},
      {"bsdtime", "TIME", [](pid_t, const InnerProcess& process) { return short_processor_time(process.processor_time); }},
      {"comm", "COMMAND", [](pid_t, const InnerProcess& process) { return program(process); }},
      {"args", "COMMAND", [](pid_t, const InnerProcess& process) { return process.command; }},
      {"cmd", "CMD", [](pid_t, const InnerProcess& process) { return process.command; }},
  };
  return kColumns;
}

[[noreturn]] void refuse(const std::string& what) {
  throw Error(
      ErrorCode::kNotSupported,
      fmt::format("'{}' is not possible for a container with a kernel of its own, whose processes ps can't see: use -ef, "
                  "aux, or -o with user, uid, pid, ppid, c, pcpu, rss, stime, start, tty, time, comm, args, cmd",
                  what));
}

std::vector<std::string> wanted_columns(const std::string& options) {
  std::string joined = options;
  std::erase(joined, ' ');
  if (joined.empty() || joined == "-ef") {
    return {"user", "pid", "ppid", "c", "stime", "tty", "time", "cmd"};
  }
  if (joined == "aux" || joined == "-aux") {
    return {"user", "pid", "pcpu", "rss", "tty", "start", "bsdtime", "args"};
  }
  size_t list = joined.starts_with("-eo") ? 3 : joined.starts_with("-o") ? 2 : joined.starts_with("-o=") ? 3 : 0;
  if (list == 0) {
    refuse(options);
  }
  std::vector<std::string> names;
  std::istringstream parts(joined.substr(list));
  for (std::string name; std::getline(parts, name, ',');) {
    names.push_back(name);
  }
  return names;
}

}  // namespace

TopResult inner_table(const std::vector<task::ProcessInfo>& processes, const std::string& options) {
  std::vector<const Column*> columns;
  TopResult result;
  for (const std::string& name : wanted_columns(options)) {
    auto found =
        std::find_if(known_columns().begin(), known_columns().end(), [&](const Column& column) { return name == column.name; });
    if (found == known_columns().end()) {
      refuse(name);
    }
    columns.push_back(&*found);
    result.titles.emplace_back(options.empty() && name == "user" ? "UID" : found->title);
  }
  for (const task::ProcessInfo& process : processes) {
    if (process.inner) {
      std::vector<std::string>& row = result.processes.emplace_back();
      for (const Column* column : columns) {
        row.push_back(column->text(process.pid, *process.inner));
      }
    }
  }
  return result;
}

}  // namespace bulkhead::engine
