#include "http/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <thread>

#include "http/listening_sockets.h"
#include "support/log.h"

namespace bulkhead::http {
namespace {

constexpr size_t kStackBytes = 2UL << 20;  // touched pages only are real

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

std::string reason_to_refuse(Peer peer, const RequestHead& head) {
  if (peer == Peer::kUnix) {
    return "";
  }
  if (head.headers.has("Origin")) {
    return "requests from web pages (with an Origin header) are refused";
  }
  std::string_view host = head.headers.get("Host");
  // With TLS a name that leads here by deceit fails at the certificate.
  if (peer == Peer::kTcp && !host.empty() && !is_loopback_host(without_port(host))) {
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
  listeners_.push_back({bind_unix(path), Peer::kUnix, path, nullptr});
}

uint16_t Server::listen_tcp(const std::string& host, uint16_t port) {
  if (!is_loopback_host(host)) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("tcp://{}: whoever reaches the API is root on this host, and it is not encrypted: only loopback "
                    "addresses (127.0.0.1, ::1, localhost) are served without TLS. For another host use --tlsverify, or "
                    "forward the Unix socket by ssh",
                    host));
  }
  BoundTcp bound = bind_tcp(host, port);
  listeners_.push_back({std::move(bound.socket), Peer::kTcp, {}, nullptr});
  return bound.port;
}

uint16_t Server::listen_tls(const std::string& host, uint16_t port, std::shared_ptr<const tls::Context> context) {
  BoundTcp bound = bind_tcp(host, port);
  listeners_.push_back({std::move(bound.socket), Peer::kTls, {}, std::move(context)});
  return bound.port;
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
  if (listener.peer != Peer::kUnix) {
    int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  }
  start_thread({this, std::move(socket), listener.peer, listener.tls});
}

bool Server::take_place(const Job& job) {
  std::lock_guard lock(mutex_);
  bool is_tls = job.peer == Peer::kTls;
  if (connections_ >= options_.maximum_connections || (is_tls && handshakes_ >= options_.maximum_handshakes)) {
    return false;
  }
  ++connections_;
  handshakes_ += is_tls ? 1 : 0;
  return true;
}

void Server::start_thread(Job its_job) {
  auto refuse = [](const Job& job) {
    if (job.peer != Peer::kTls) {  // who speaks TLS would not understand
      std::string text = refusal(503, "too many connections: try again in a moment");
      ::send(job.socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  };
  if (!take_place(its_job)) {
    refuse(its_job);
    return;
  }
  auto job = std::make_unique<Job>(std::move(its_job));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread{};
  auto body = [](void* argument) -> void* {
    std::unique_ptr<Job> mine(static_cast<Job*>(argument));
    Server& server = *mine->server;
    if (mine->peer == Peer::kTls) {
      server.serve_tls(std::move(mine->socket), *mine->tls);
    } else {
      server.serve(std::move(mine->socket), mine->peer);
    }
    std::lock_guard lock(server.mutex_);
    --server.connections_;
    server.ended_.notify_all();  // under the lock: the server may be gone right after
    return nullptr;
  };
  int error_number = pthread_create(&thread, &attributes, body, job.get());
  pthread_attr_destroy(&attributes);
  if (error_number != 0) {
    refuse(*job);
    std::lock_guard lock(mutex_);
    --connections_;
    handshakes_ -= job->peer == Peer::kTls ? 1 : 0;
    return;
  }
  job.release();  // NOLINT(bugprone-unused-return-value): the thread owns it now
}

void Server::serve(UniqueFd socket, Peer peer) {
  try {
    ServerConnection connection(std::move(socket), peer, stop_event_.get());
    serve_requests(connection, "");
  } catch (const std::exception& error) {
    // A client that goes away is daily life; whatever concerned the request itself was answered by the handler.
    log::debug("connection ended: {}", error.what());
  }
}

void Server::serve_requests(ServerConnection& connection, const std::string& why_none) {
  RequestReader reader(connection, options_.limits);
  while (serve_one(connection, reader, why_none)) {
  }
}

bool Server::serve_one(ServerConnection& connection, RequestReader& reader, const std::string& why_none) {
  std::optional<RequestHead> head;
  try {
    head = reader.read_head();
  } catch (const StatusError& error) {
    connection.send(refusal(error.status(), error.message()), "", "", after(std::chrono::seconds(5)));
    connection.linger(std::chrono::seconds(5));
    return false;
  }
  if (!head) {
    return false;
  }
  Exchange exchange(connection, reader, std::move(*head));
  std::string reason = why_none.empty() ? reason_to_refuse(connection.peer(), exchange.head()) : why_none;
  if (!reason.empty()) {
    exchange.fail(403, reason);
    return exchange.finish();
  }
  handler_(exchange);
  if (!exchange.has_answered()) {
    exchange.fail(500, "this request has no answer");
  }
  return exchange.finish();
}

std::string refusal(int status, std::string_view message) {
  std::string body = fmt::format("{{\"message\":{}}}\n", json_string(message));
  Headers headers;
  headers.add("Content-Type", "application/json");
  headers.add("Content-Length", std::to_string(body.size()));
  headers.add("Connection", "close");
  return serialize(ResponseHead{status, headers}) + body;
}

}  // namespace bulkhead::http
