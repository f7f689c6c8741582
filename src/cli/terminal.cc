#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

// For the handler below: it may touch nothing but these.
termios emergency_modes;
std::atomic<int> emergency_fd = -1;

void restore_and_die(int signal_number) {
  int fd = emergency_fd.load();
  if (fd >= 0) {
    tcsetattr(fd, TCSANOW, &emergency_modes);  // async-signal-safe by POSIX
  }
  (void)signal(signal_number, SIG_DFL);
  (void)raise(signal_number);
}

}  // namespace

std::optional<WindowSize> window_size(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return std::nullopt;
  }
  return WindowSize{size.ws_row, size.ws_col};
}

size_t output_width() {
  std::optional<WindowSize> size = window_size(STDOUT_FILENO);
  return size ? size->columns : 0;
}

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  if (tcgetattr(fd_, &before_) != 0) {
    throw system_error("read the terminal's modes");
  }
  emergency_modes = before_;
  emergency_fd = fd_;
  for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    (void)signal(number, restore_and_die);
  }
  (void)signal(SIGPIPE, SIG_IGN);  // a closed standard output must end in an error that restores, not in death
  termios raw = before_;
  cfmakeraw(&raw);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (tcsetattr(fd_, TCSANOW, &raw) != 0) {
    throw system_error("set the terminal to raw mode");
  }
}

RawTerminal::~RawTerminal() {
  emergency_fd = -1;
  tcsetattr(fd_, TCSADRAIN, &before_);
}

SignalSource::SignalSource(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : signals) {
    sigaddset(&set, number);
  }
  if (sigprocmask(SIG_BLOCK, &set, &before_) != 0) {
    throw system_error("sigprocmask");
  }
  fd_.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) {
    throw system_error("signalfd");
  }
}

SignalSource::~SignalSource() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

std::optional<int> SignalSource::take() {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof info) != sizeof info) {
    return std::nullopt;
  }
  return static_cast<int>(info.ssi_signo);
}

std::vector<int> forwarded_signals() {
  std::vector<int> signals;
  for (int number = 1; number <= SIGRTMAX; ++number) {
    switch (number) {
      case SIGKILL:
      case SIGSTOP:  // can't be caught
      case SIGCHLD:
      case SIGPIPE:
      case SIGURG:  // are about this process
      case SIGTSTP:
      case SIGTTIN:
      case SIGTTOU:
      case SIGCONT:  // job control of the client's own shell
      case SIGSEGV:
      case SIGBUS:
      case SIGFPE:
      case SIGILL:
      case SIGABRT:
      case SIGTRAP:
      case SIGSYS:    // faults of this process
      case SIGWINCH:  // becomes a resize
        break;
      default:
        if (number < 32 || number >= SIGRTMIN) {
          signals.push_back(number);
        }
    }
  }
  return signals;
}

}  // namespace bulkhead::cli
