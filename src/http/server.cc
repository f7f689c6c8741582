#include "http/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>

#include "support/files.h"
#include "support/log.h"

namespace bulkhead::http {
namespace {

constexpr size_t kStackBytes = 2UL << 20;  // touched pages only are real
constexpr int kBacklog = 4096;

UniqueFd new_socket(int family) {
  UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    throw system_error("create a socket");
  }
  return socket;
}

sockaddr_un unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(address.sun_path)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("socket path '{}' is longer than {} bytes (unix(7))", path.native(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  return address;
}

void remove_stale_socket(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return;
  }
  if (!S_ISSOCK(status.st_mode)) {
    throw Error(ErrorCode::kConflict, fmt::format("'{}' is there already and is no socket", path.native()));
  }
  UniqueFd probe = new_socket(AF_UNIX);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN) {
    throw Error(ErrorCode::kConflict, fmt::format("another server answers at '{}'", path.native()));
  }
  if (::unlink(path.c_str()) != 0) {
    throw system_error(fmt::format("remove the old socket '{}'", path.native()));
  }
}

void give_to_docker_group(const std::filesystem::path& path) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r("docker", &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr &&
      ::chown(path.c_str(), 0, found->gr_gid) != 0) {
    log::warn("'{}' can't be given to the group docker: {}", path.native(), strerror(errno));
  }
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "::1") {
    return true;
  }
  in_addr address{};
  return ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

/// "127.0.0.1:80" -> "127.0.0.1", "[::1]:80" -> "::1".
std::string_view without_port(std::string_view authority) {
  if (!authority.empty() && authority.front() == '[') {
    return authority.substr(1, authority.find(']') - 1);
  }
  return authority.substr(0, authority.find(':'));
}

}  // namespace

std::string reason_to_refuse(const RequestHead& head) {
  if (head.headers.has("Origin")) {
    return "requests from web pages (with an Origin header) are refused";
  }
  std::string_view host = head.headers.get("Host");
  if (!host.empty() && !is_loopback_host(without_port(host))) {
    return fmt::format("requests for the host '{}' are refused: only loopback names are served", host);
  }
  return "";
}

Server::Server(Handler handler, ServerOptions options)
    : handler_(std::move(handler)), options_(options), stop_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stop_event_) {
    throw system_error("create an eventfd");
  }
}

Server::~Server() {
  for (const Listener& listener : listeners_) {
    if (!listener.path.empty()) {
      ::unlink(listener.path.c_str());
    }
  }
}

void Server::listen_unix(const std::filesystem::path& path) {
  sockaddr_un address = unix_address(path);
  if (path.has_parent_path()) {
    make_folders(path.parent_path());
  }
  remove_stale_socket(path, address);
  UniqueFd socket = new_socket(AF_UNIX);
  // SECURITY: no moment at which others could connect: nobody may until the mode and the group are right.
  mode_t previous = ::umask(0177);
  int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  int error_number = errno;
  ::umask(previous);
  if (bound != 0) {
    throw system_error(fmt::format("bind '{}'", path.native()), error_number);
  }
  listeners_.push_back({std::move(socket), Peer::kUnix, path});
  give_to_docker_group(path);
  if (::chmod(path.c_str(), 0660) != 0 || ::listen(listeners_.back().socket.get(), kBacklog) != 0) {
    throw system_error(fmt::format("listen at '{}'", path.native()));
  }
}

uint16_t Server::listen_tcp(const std::string& host, uint16_t port) {
  if (!is_loopback_host(host)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tcp://{}: whoever reaches the API is root on this host, and it is not encrypted: only loopback "
                            "addresses (127.0.0.1, ::1, localhost) are served over TCP. For another host, forward the Unix "
                            "socket by ssh",
                            host));
  }
  bool is_v6 = host.find(':') != std::string::npos;
  UniqueFd socket = new_socket(is_v6 ? AF_INET6 : AF_INET);
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_addr = in6addr_loopback;
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  ::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &v4.sin_addr);
  auto* address = is_v6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
  if (::bind(socket.get(), address, size) != 0 || ::listen(socket.get(), kBacklog) != 0 ||
      ::getsockname(socket.get(), address, &size) != 0) {
    throw system_error(fmt::format("listen at tcp://{}:{}", host, port));
  }
  listeners_.push_back({std::move(socket), Peer::kTcp, {}});
  return ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
}

bool Server::run(std::chrono::milliseconds grace) {
  std::vector<pollfd> polled;
  for (const Listener& listener : listeners_) {
    polled.push_back({listener.socket.get(), POLLIN, 0});
  }
  polled.push_back({stop_event_.get(), POLLIN, 0});
  for (;;) {
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
      throw system_error("wait for clients");
    }
    if (polled.back().revents != 0) {
      break;
    }
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (polled[i].revents != 0) {
        accept_one(listeners_[i]);
      }
    }
  }
  for (Listener& listener : listeners_) {
    if (!listener.path.empty()) {
      ::unlink(listener.path.c_str());
      listener.path.clear();
    }
    listener.socket.reset();
  }
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, grace, [&] { return connections_ == 0; });
}

void Server::stop() noexcept {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(stop_event_.get(), &one, sizeof(one));
}

void Server::accept_one(const Listener& listener) {
  UniqueFd socket(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      log::warn("a connection can't be accepted: {}", strerror(errno));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it stays in the queue: don't spin
    }
    return;
  }
  if (listener.peer == Peer::kTcp) {
    int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  start_thread(std::move(socket), listener.peer);
}

void Server::start_thread(UniqueFd socket, Peer peer) {
  struct Job {
    Server* server;
    UniqueFd socket;
    Peer peer;
  };
  auto refuse = [](int descriptor) {
    static constexpr std::string_view kFull =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 60\r\n\r\n"
        "{\"message\":\"too many connections: try again in a moment.\"}\r\n";
    ::send(descriptor, kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  {
    std::lock_guard lock(mutex_);
    if (connections_ >= options_.maximum_connections) {
      refuse(socket.get());
      return;
    }
    ++connections_;
  }
  auto job = std::make_unique<Job>(Job{this, std::move(socket), peer});
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  auto body = [](void* argument) -> void* {
    std::unique_ptr<Job> mine(static_cast<Job*>(argument));
    Server& server = *mine->server;
    server.serve(std::move(mine->socket), mine->peer);
    std::lock_guard lock(server.mutex_);
    --server.connections_;
    server.ended_.notify_all();  // under the lock: the server may be gone right after
    return nullptr;
  };
  int error_number = pthread_create(&thread, &attributes, body, job.get());
  pthread_attr_destroy(&attributes);
  if (error_number != 0) {
    refuse(job->socket.get());
    std::lock_guard lock(mutex_);
    --connections_;
    return;
  }
  job.release();  // NOLINT(bugprone-unused-return-value): the thread owns it now
}

void Server::serve(UniqueFd socket, Peer peer) {
  try {
    ServerConnection connection(std::move(socket), peer, stop_event_.get());
    RequestReader reader(connection, options_.limits);
    while (serve_one(connection, reader)) {
    }
  } catch (const std::exception& error) {
    // A client that goes away is daily life; whatever concerned the request itself was answered by the handler.
    log::debug("connection ended: {}", error.what());
  }
}

bool Server::serve_one(ServerConnection& connection, RequestReader& reader) {
  std::optional<RequestHead> head;
  try {
    head = reader.read_head();
  } catch (const StatusError& error) {
    std::string body = fmt::format("{{\"message\":{}}}\n", json_string(error.message()));
    Headers headers;
    headers.add("Content-Type", "application/json");
    headers.add("Content-Length", std::to_string(body.size()));
    headers.add("Connection", "close");
    connection.send(serialize(ResponseHead{error.status(), headers}), body, "", after(std::chrono::seconds(5)));
    connection.linger(std::chrono::seconds(5));
    return false;
  }
  if (!head) {
    return false;
  }
  Exchange exchange(connection, reader, std::move(*head));
  if (std::string refusal = connection.peer() == Peer::kTcp ? reason_to_refuse(exchange.head()) : ""; !refusal.empty()) {
    exchange.fail(403, refusal);
    return exchange.finish();
  }
  handler_(exchange);
  if (!exchange.has_answered()) {
    exchange.fail(500, "this request has no answer");
  }
  return exchange.finish();
}

}  // namespace bulkhead::http
