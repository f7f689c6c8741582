#include "cli/container_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

std::vector<int> watched_signals(Terminal terminal, SignalProxy proxy) {
  std::vector<int> signals;
  if (proxy == SignalProxy::kForward) {
    signals = forwarded_signals();
  } else if (terminal == Terminal::kYes) {
    signals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  }
  if (terminal == Terminal::kYes) {
    signals.push_back(SIGWINCH);
  }
  return signals;
}

[[noreturn]] void die_of(int number) {
  (void)signal(number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  (void)raise(number);
  _exit(128 + number);
}

}  // namespace

ContainerStream::ContainerStream(Api& api, StreamTarget target, Terminal terminal, SignalProxy proxy)
    : api_(api),
      target_(std::move(target)),
      terminal_(terminal),
      proxy_(target_.kill_path.empty() ? SignalProxy::kKeep : proxy),
      signals_(watched_signals(terminal_, proxy_)) {}

ContainerStream::End ContainerStream::run(http::Upgraded stream, Wiring wiring, const std::string& detach_keys) {
  StreamPump pump(std::move(stream), wiring, DetachWatcher(detach_keys));
  {
    std::optional<RawTerminal> raw;
    if (terminal_ == Terminal::kYes && wiring.in >= 0 && isatty(wiring.in) != 0) {
      raw.emplace(wiring.in);
    }
    pump.run(signals_, [this](int number) { return on_signal(number); });
  }
  if (ended_by_ != 0) {
    die_of(ended_by_);
  }
  if (std::string why = pump.failure(); !why.empty()) {
    // SECURITY: with TLS an end that the engine didn't say could be anybody's: output that was cut short must not look whole.
    throw Error(ErrorCode::kUnavailable, fmt::format("the connection to the engine broke off: {}", why));
  }
  return terminal_ == Terminal::kYes && pump.detached() ? End::kDetached : End::kClosed;
}

void ContainerStream::wait_for(http::Connection& connection) {
  while (!connection.wait_readable(std::chrono::milliseconds(0))) {
    std::array<pollfd, 2> entries = {{{.fd = signals_.descriptor(), .events = POLLIN, .revents = 0},
                                      {.fd = connection.descriptor(), .events = POLLIN, .revents = 0}}};
    if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
      throw system_error("poll");
    }
    for (std::optional<int> number = signals_.take(); number; number = signals_.take()) {
      if (on_signal(*number) == StreamPump::Then::kStop) {
        die_of(ended_by_);
      }
    }
  }
}

void ContainerStream::resize() {
  std::optional<WindowSize> size = console_size();
  if (terminal_ == Terminal::kNo || !size) {
    return;
  }
  http::Query query;
  query.add("h", std::to_string(size->rows));
  query.add("w", std::to_string(size->columns));
  try {
    api_.command(target_.resize_path, query);
  } catch (const Error&) {
    // It may have ended meanwhile, or not quite begun; a wrong size is no reason to fail.
  }
}

StreamPump::Then ContainerStream::on_signal(int number) {
  if (number == SIGWINCH) {
    resize();
    return StreamPump::Then::kContinue;
  }
  if (proxy_ == SignalProxy::kKeep) {
    ended_by_ = number;
    return StreamPump::Then::kStop;
  }
  http::Query query;
  const char* name = sigabbrev_np(number);
  query.add("signal", name != nullptr ? fmt::format("SIG{}", name) : std::to_string(number));
  try {
    api_.command(target_.kill_path, query);
  } catch (const Error&) {
    // It may have ended meanwhile: then the stream says so next.
  }
  return StreamPump::Then::kContinue;
}

bool lacks_terminal(Terminal terminal, int in) { return terminal == Terminal::kYes && in >= 0 && isatty(in) == 0; }

Error lacks_terminal_error() {
  return {ErrorCode::kInvalidArgument, "the input device is not a TTY: leave out -t, or run it from a terminal"};
}

void require_terminal(Terminal terminal, int in) {
  if (lacks_terminal(terminal, in)) {
    throw lacks_terminal_error();
  }
}

std::optional<WindowSize> console_size() {
  std::optional<WindowSize> size = window_size(STDOUT_FILENO);
  return size ? size : window_size(STDIN_FILENO);
}

}  // namespace bulkhead::cli
