#include "shim/shim.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/log.h"
#include "task/protocol.h"

namespace bulkhead::shim {
namespace {

/// SIGCHLD as a descriptor. SIGTERM and SIGINT go there too and end nothing: a shim that a service manager ends would leave
/// its container without log and exit status.
UniqueFd take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  // Handled, not ignored: an ignored signal stays ignored through execve(2), in the container too.
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGPIPE, &nothing, nullptr);
  ::sigaction(SIGXFSZ, &nothing, nullptr);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) {
    throw system_error("make a signalfd");
  }
  return fd;
}

}  // namespace

Shim::Shim(ShimSettings settings, const IsolationRegistry& isolations, UniqueFd task_socket, UniqueFd attach_socket)
    : settings_(std::move(settings)),
      events_(loop_, settings_.events_address, settings_.name_space),
      container_(loop_, isolations, events_, settings_.id, settings_.cache_folder),
      service_(container_, [this] { begin_shutdown(); }),
      signals_(take_signals()) {
  signals_watch_ = loop_.watch(signals_.get(), EPOLLIN, [this](uint32_t) { on_child_signal(); });
  task_listener_ = std::make_unique<Listener>(loop_, std::move(task_socket), settings_.task_socket,
                                              [this](UniqueFd socket) { on_connection(std::move(socket)); });
  attach_server_ = std::make_unique<AttachServer>(loop_, container_, std::move(attach_socket), settings_.attach_socket);
}

void Shim::run() {
  loop_.run([this] { stop_when_idle(); });
  stop_listening();
  events_.flush();
}

void Shim::stop_listening() {
  if (task_listener_) {
    task_listener_.reset();
    attach_server_.reset();
    ::unlink((settings_.bundle / task::kAddressFile).c_str());
  }
}

void Shim::on_connection(UniqueFd socket) {
  had_client_ = true;
  auto connection = connections_.emplace(connections_.end());
  int fd = socket.get();
  auto set_interest = [connection](ttrpc::WriteInterest interest) {
    connection->watch.set_events(interest == ttrpc::WriteInterest::kWanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
  };
  auto handle = [this](const ttrpc::Call& call, ttrpc::Responder responder) { service_.handle(call, std::move(responder)); };
  connection->server = std::make_shared<ttrpc::ServerConnection>(std::move(socket), handle, set_interest);
  connection->watch =
      loop_.watch(fd, EPOLLIN, [this, connection](uint32_t events) { on_connection_event(connection, events); });
}

void Shim::on_connection_event(std::list<Connection>::iterator connection, uint32_t events) {
  try {
    if ((events & EPOLLOUT) != 0) {
      connection->server->on_writable();
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      connection->server->on_readable();
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable) {
      log::warn("a client's connection is dropped: {}", error.message());
    }
    connection->watch.reset();
    connections_.erase(connection);
  }
}

/// Collects what became our child because its parent died (we are a subreaper; without a PID namespace of its own, a
/// container's orphans come here). The sandbox's own children are left for it.
void Shim::on_child_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
  }
  siginfo_t child{};
  while (::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid != 0) {
    if (container_.is_own_child(child.si_pid)) {
      return;  // the next SIGCHLD, or this one's exit event, comes back to the others
    }
    ::waitid(P_PID, static_cast<id_t>(child.si_pid), &child, WEXITED | WNOHANG);
    child = {};
  }
}

void Shim::begin_shutdown() {
  shutting_down_ = true;
  // A client that doesn't read what a container said last can't keep the shim for ever.
  constexpr unsigned kPatience = 30;  // seconds, then SIGALRM ends us
  ::alarm(kPatience);
  stop_listening();
}

void Shim::stop_when_idle() {
  bool abandoned = had_client_ && connections_.empty() && !container_.exists();
  if (!shutting_down_ && !abandoned) {
    return;
  }
  if (container_.all_sent()) {
    loop_.stop();
  }
}

}  // namespace bulkhead::shim
