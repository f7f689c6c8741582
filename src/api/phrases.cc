#include "api/phrases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace bulkhead::api {

std::string human_duration(std::chrono::nanoseconds duration) {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  int64_t minutes = seconds / 60;
  int64_t hours = (seconds + 1800) / 3600;  // rounded, as docker does
  if (seconds < 1) {
    return "Less than a second";
  }
  if (seconds == 1) {
    return "1 second";
  }
  if (seconds < 60) {
    return fmt::format("{} seconds", seconds);
  }
  if (minutes == 1) {
    return "About a minute";
  }
  if (minutes < 60) {
    return fmt::format("{} minutes", minutes);
  }
  if (hours == 1) {
    return "About an hour";
  }
  struct Unit {
    int64_t below_hours, hours;
    const char* name;
  };
  static constexpr std::array<Unit, 4> kUnits = {
      {{48, 1, "hours"}, {336, 24, "days"}, {1440, 168, "weeks"}, {17520, 720, "months"}}};
  for (const Unit& unit : kUnits) {
    if (hours < unit.below_hours) {
      return fmt::format("{} {}", hours / unit.hours, unit.name);
    }
  }
  return fmt::format("{} years", seconds / 3600 / 24 / 365);
}

std::string human_size(int64_t bytes) {
  static constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto size = static_cast<double>(std::max<int64_t>(bytes, 0));
  size_t unit = 0;
  while (size >= 1000.0 && unit + 1 < kUnits.size()) {
    size /= 1000.0;
    ++unit;
  }
  return fmt::format("{:.4g}{}", size, kUnits[unit]);
}

std::string status_phrase(const engine::Container& container, TimePoint now) {
  auto since = [&](const std::optional<TimePoint>& time) {
    return human_duration(time ? now - *time : std::chrono::seconds(0));
  };
  switch (container.shown_status()) {
    case engine::Status::kRunning: return "Up " + since(container.started_at);
    case engine::Status::kPaused: return "Up " + since(container.started_at) + " (Paused)";
    case engine::Status::kRestarting:
      return fmt::format("Restarting ({}) {} ago", container.exit_code, since(container.finished_at));
    case engine::Status::kRemoving: return "Removal In Progress";
    case engine::Status::kDead: return "Dead";
    case engine::Status::kCreated:
    case engine::Status::kStarting: return "Created";
    case engine::Status::kExited:
      return container.finished_at ? fmt::format("Exited ({}) {} ago", container.exit_code, since(container.finished_at)) : "";
  }
  return "";
}

std::string command_line(const std::string& path, const std::vector<std::string>& arguments) {
  std::string line = path;
  for (const std::string& argument : arguments) {
    line += line.empty() ? "" : " ";
    if (!argument.empty() && argument.find_first_of("\\'\"`${[|&;<>()~*?! \t\n") == std::string::npos) {
      line += argument;
      continue;
    }
    line += '\'';
    for (char letter : argument) {
      line += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
    }
    line += '\'';
  }
  return line;
}

std::string progress_bar(int64_t current, int64_t total) {
  if (total <= 0) {
    return current > 0 ? human_size(current) : "";
  }
  constexpr int64_t kWidth = 50;
  auto filled = static_cast<size_t>(std::clamp<int64_t>(current * kWidth / total, 0, kWidth));
  std::string bar(filled, '=');
  bar += filled < kWidth ? ">" : "";
  bar.resize(kWidth, ' ');
  return fmt::format("[{}]  {}/{}", bar, human_size(current), human_size(total));
}

}  // namespace bulkhead::api
