// The server's part of TLS: who is let in, and what those are told who are not.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

#include "http/server.h"
#include "support/log.h"
#include "support/scope_guard.h"
#include "tls/relay.h"
#include "tls/session.h"

namespace bulkhead::http {
namespace {

constexpr std::chrono::seconds kLingerTime{2};
constexpr std::string_view kPlainText =
    "Client sent an HTTP request to an HTTPS server: this address is served with TLS only; use --tlsverify "
    "(DOCKER_TLS_VERIFY=1) "
    "with a certificate";

/// "192.0.2.1:4711", for the log.
std::string address_of(int socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return "a client";
  }
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
  }
  return "a client";
}

/// A client that is let in, by the name in its certificate; or why each of its requests is refused.
struct Admitted {
  std::string name;
  std::string why_none;
};

Admitted admit(const tls::Session& session) {
  try {
    return {.name = session.peer_name(), .why_none = ""};
  } catch (const Error& error) {
    return {.name = "", .why_none = error.message()};
  }
}

}  // namespace

void Server::end_handshake() {
  std::lock_guard lock(mutex_);
  handshakes_ -= handshakes_ > 0 ? 1 : 0;
}

void Server::serve_tls(UniqueFd socket, const tls::Context& context) {
  std::string client = address_of(socket.get());
  ScopeGuard handshake_ended([this] { end_handshake(); });
  try {
    tls::Session session = tls::Session::accept(std::move(socket), context);
    try {
      session.handshake(*after(options_.handshake_time), stop_event_.get());
    } catch (const Error& error) {
      log::info("{} is not let in: {}", client, error.message());
      bool spoke_http = session.spoke_http();
      ServerConnection refused(session.release(), Peer::kTls, stop_event_.get());
      if (spoke_http) {
        refused.send(refusal(400, kPlainText), "", "", after(kLingerTime));
      }
      refused.linger(kLingerTime);  // else the reset would overtake the alert that says why
      return;
    }
    Admitted admitted = admit(session);
    tls::Relay relay(std::move(session));
    handshake_ended.dismiss();
    end_handshake();
    ServerConnection connection(relay.take_socket(), Peer::kTls, stop_event_.get(), admitted.name);
    serve_requests(connection, admitted.why_none);
  } catch (const std::exception& error) {
    log::debug("connection of {} ended: {}", client, error.what());
  }
}

}  // namespace bulkhead::http
