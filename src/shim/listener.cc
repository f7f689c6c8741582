#include "shim/listener.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/error.h"
#include "support/log.h"
#include "support/scope_guard.h"
#include "ttrpc/client.h"
#include "ttrpc/unix_address.h"

namespace bulkhead::shim {
namespace {

bool somebody_listens(const std::filesystem::path& path) {
  try {
    ttrpc::connect_unix(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool may_connect(int socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  // SECURITY: who may talk to a shim may do anything to its container, and through it to the host.
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == ::geteuid());
}

}  // namespace

UniqueFd listen_at(const std::filesystem::path& path) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    throw system_error("make a unix socket");
  }
  ttrpc::UnixAddress address(path);
  mode_t before = ::umask(0177);
  ScopeGuard restore([before] { ::umask(before); });
  int bound = ::bind(socket.get(), address.get(), address.size());
  if (bound != 0 && errno == EADDRINUSE) {
    if (somebody_listens(path)) {
      throw Error(ErrorCode::kConflict, fmt::format("another shim listens at '{}'", path.native()));
    }
    ::unlink(path.c_str());
    bound = ::bind(socket.get(), address.get(), address.size());
  }
  if (bound != 0 || ::listen(socket.get(), 128) != 0) {
    throw system_error(fmt::format("listen at '{}'", path.native()));
  }
  return socket;
}

Listener::Listener(EventLoop& loop, UniqueFd socket, std::filesystem::path path, OnConnection on_connection)
    : socket_(std::move(socket)), path_(std::move(path)), on_connection_(std::move(on_connection)) {
  watch_ = loop.watch(socket_.get(), EPOLLIN, [this](uint32_t) { on_event(); });
}

Listener::~Listener() { ::unlink(path_.c_str()); }

void Listener::on_event() {
  UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) {
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      // EMFILE and the like: the connection stays in the backlog, and trying at once again would spin.
      log::warn("{}", system_error(fmt::format("accept a connection at '{}'", path_.native())).message());
      ::usleep(10'000);
    }
    return;
  }
  if (may_connect(connection.get())) {
    on_connection_(std::move(connection));
  }
}

}  // namespace bulkhead::shim
