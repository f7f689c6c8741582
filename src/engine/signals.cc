// Signal names and numbers as clients write them.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <csignal>
#include <map>
#include <optional>
#include <string_view>

#include "engine/spec_builder.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

// SIGRTMIN of glibc is 34: the kernel's first two real-time signals are its own. Docker counts from 34 too.
constexpr int kRealTimeMinimum = 34;
constexpr int kRealTimeMaximum = 64;

const std::map<std::string_view, int>& signal_numbers() {
  static const std::map<std::string_view, int> kNumbers = {{"ABRT", SIGABRT},
                                                           {"ALRM", SIGALRM},
                                                           {"BUS", SIGBUS},
                                                           {"CHLD", SIGCHLD},
                                                           {"CLD", SIGCHLD},
                                                           {"CONT", SIGCONT},
                                                           {"FPE", SIGFPE},
                                                           {"HUP", SIGHUP},
                                                           {"ILL", SIGILL},
                                                           {"INT", SIGINT},
                                                           {"IO", SIGIO},
                                                           {"IOT", SIGIOT},
                                                           {"KILL", SIGKILL},
                                                           {"PIPE", SIGPIPE},
                                                           {"POLL", SIGPOLL},
                                                           {"PROF", SIGPROF},
                                                           {"PWR", SIGPWR},
                                                           {"QUIT", SIGQUIT},
                                                           {"SEGV", SIGSEGV},
                                                           {"STKFLT", 16},
                                                           {"STOP", SIGSTOP},
                                                           {"SYS", SIGSYS},
                                                           {"TERM", SIGTERM},
                                                           {"TRAP", SIGTRAP},
                                                           {"TSTP", SIGTSTP},
                                                           {"TTIN", SIGTTIN},
                                                           {"TTOU", SIGTTOU},
                                                           {"URG", SIGURG},
                                                           {"USR1", SIGUSR1},
                                                           {"USR2", SIGUSR2},
                                                           {"VTALRM", SIGVTALRM},
                                                           {"WINCH", SIGWINCH},
                                                           {"XCPU", SIGXCPU},
                                                           {"XFSZ", SIGXFSZ},
                                                           {"RTMIN", kRealTimeMinimum},
                                                           {"RTMAX", kRealTimeMaximum}};
  return kNumbers;
}

std::optional<int> parse_number(std::string_view text) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

/// "RTMIN+3", "RTMAX-2"
std::optional<int> parse_real_time(std::string_view name) {
  bool from_minimum = name.starts_with("RTMIN+");
  if (!from_minimum && !name.starts_with("RTMAX-")) {
    return std::nullopt;
  }
  auto offset = parse_number(name.substr(6));
  if (!offset || *offset < 0 || *offset > kRealTimeMaximum - kRealTimeMinimum) {
    return std::nullopt;
  }
  return from_minimum ? kRealTimeMinimum + *offset : kRealTimeMaximum - *offset;
}

}  // namespace

int parse_signal(const std::string& text) {
  std::string name = text;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) {
    name.erase(0, 3);
  } else if (auto number = parse_number(name); number && *number >= 1 && *number <= kRealTimeMaximum) {
    return *number;
  }
  auto found = signal_numbers().find(name);
  if (found != signal_numbers().end()) {
    return found->second;
  }
  if (auto number = parse_real_time(name)) {
    return *number;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("Invalid signal: {}", text));
}

}  // namespace bulkhead::engine
