// `docker top`: what ps(1) of the host says of the container's processes.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "engine/engine_state.h"
#include "engine/process_columns.h"
#include "support/command.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

std::string run_ps(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "ps");
  CommandOutcome outcome = run_command({.program = "ps", .arguments = std::move(arguments), .folder = {}});
  if (!outcome.succeeded()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("Error running ps: {}", outcome.complaint()));
  }
  return std::move(outcome.out);
}

/// Splits a line into as many columns as the title has; the last keeps its blanks.
std::vector<std::string> columns_of(const std::string& line, size_t count) {
  std::vector<std::string> columns;
  size_t position = 0;
  while (columns.size() + 1 < count) {
    position = line.find_first_not_of(" \t", position);
    if (position == std::string::npos) {
      break;
    }
    size_t end = std::min(line.find_first_of(" \t", position), line.size());
    columns.push_back(line.substr(position, end - position));
    position = end;
  }
  position = position == std::string::npos ? std::string::npos : line.find_first_not_of(" \t", position);
  columns.push_back(position == std::string::npos ? "" : line.substr(position));
  return columns;
}

}  // namespace

TopResult Engine::top(const std::string& reference, const std::string& ps_arguments) {
  LivePointer live = state_->find(reference);
  Container record = live->copy();
  require_running(record);
  std::shared_ptr<task::Client> client;
  {
    std::lock_guard lock(live->mutex);
    client = live->client;
  }
  if (!client) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is not running", record.id));
  }
  std::vector<task::ProcessInfo> processes = client->processes(record.id);
  state_->publish(record, "top");
  if (record.own_kernel) {
    return inner_table(processes, ps_arguments);
  }
  std::vector<std::string> arguments = split(ps_arguments.empty() ? "-ef" : ps_arguments);
  std::istringstream output(run_ps(arguments));
  std::string line;
  std::getline(output, line);
  TopResult result;
  result.titles = split(line);
  auto pid_title = std::find(result.titles.begin(), result.titles.end(), "PID");
  if (pid_title == result.titles.end()) {
    throw Error(ErrorCode::kInvalidArgument, "Couldn't find PID field in ps output: name a ps format that has PID");
  }
  auto pid_column = static_cast<size_t>(pid_title - result.titles.begin());
  std::set<std::string> wanted;
  for (const task::ProcessInfo& process : processes) {
    wanted.insert(std::to_string(process.pid));
  }
  while (std::getline(output, line)) {
    std::vector<std::string> columns = columns_of(line, result.titles.size());
    if (pid_column < columns.size() && wanted.contains(columns[pid_column])) {
      result.processes.push_back(std::move(columns));
    }
  }
  return result;
}

}  // namespace bulkhead::engine
