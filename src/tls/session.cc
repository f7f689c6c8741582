#include "tls/session.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "support/error.h"
#include "tls/openssl_error.h"
#include "tls/peer_name.h"
#include "tls/socket_bio.h"

namespace bulkhead::tls {
namespace {

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 || ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

int milliseconds_until(Session::Deadline deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000'000));
}

/// The reason of an error that OpenSSL left in the thread's queue; "" where it left none (the connection just ended).
std::string reason_of(int ssl_error) {
  return ssl_error == SSL_ERROR_SSL ? last_openssl_error() : "the other side broke the connection off";
}

}  // namespace

Session::Session(UniqueFd socket, const Context& context) : socket_(std::move(socket)), ssl_(SSL_new(context.get()), SSL_free) {
  if (!ssl_) {
    throw Error(ErrorCode::kResourceExhausted, "begin a TLS session: " + last_openssl_error());
  }
  int flags = ::fcntl(socket_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error("make a connection non-blocking");
  }
  bio_st* bio = new_socket_bio(socket_.get());
  SSL_set_bio(ssl_.get(), bio, bio);
}

Session Session::accept(UniqueFd socket, const Context& context) {
  Session session(std::move(socket), context);
  SSL_set_accept_state(session.ssl_.get());
  return session;
}

Session Session::connect(UniqueFd socket, const Context& context, const std::string& host) {
  Session session(std::move(socket), context);
  session.is_server_ = false;
  SSL_set_connect_state(session.ssl_.get());
  // SECURITY: a certificate of the CA for another host is not this one's.
  bool address = is_address(host);
  X509_VERIFY_PARAM* wanted = SSL_get0_param(session.ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  bool set = address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                     : X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), 0) == 1 &&
                           SSL_set_tlsext_host_name(session.ssl_.get(), host.c_str()) == 1;
  if (!set) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no host that a certificate could be for", host));
  }
  return session;
}

void Session::handshake(Deadline deadline, int stop_descriptor) {
  for (;;) {
    ERR_clear_error();
    int returned = SSL_do_handshake(ssl_.get());
    if (returned == 1) {
      return;
    }
    int error = SSL_get_error(ssl_.get(), returned);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      handshake_failed(error);
    }
    auto events = static_cast<short>(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    std::array<pollfd, 2> polled = {{{socket_.get(), events, 0}, {stop_descriptor, POLLIN, 0}}};
    int count = ::poll(polled.data(), polled.size(), milliseconds_until(deadline));
    if (count < 0 && errno != EINTR) {
      throw system_error("wait for a TLS handshake");
    }
    if (polled[1].revents != 0) {
      throw Error(ErrorCode::kUnavailable, "the engine is stopping");
    }
    if (count == 0 || std::chrono::steady_clock::now() > deadline) {
      throw Error(ErrorCode::kDeadlineExceeded, "the TLS handshake was not complete in time");
    }
  }
}

void Session::handshake_failed(int ssl_error) {
  unsigned long code = ERR_peek_last_error();
  int reason = ssl_error == SSL_ERROR_SSL && ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  spoke_http_ = reason == SSL_R_HTTP_REQUEST;
  std::string why = reason_of(ssl_error);
  const char* other = is_server_ ? "client" : "server";
  if (long verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK) {
    throw Error(ErrorCode::kUnauthenticated,
                fmt::format("the {}'s certificate is refused: {}", other, X509_verify_cert_error_string(verified)));
  }
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    throw Error(ErrorCode::kUnauthenticated, "the client presented no certificate");
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER || spoke_http_) {
    throw Error(ErrorCode::kUnavailable, fmt::format("the {} speaks no TLS", other));
  }
  if (reason > SSL_AD_REASON_OFFSET) {
    throw Error(ErrorCode::kUnauthenticated, fmt::format("the {} refuses the TLS handshake: {}", other, why));
  }
  throw Error(ErrorCode::kUnavailable, fmt::format("the TLS handshake failed: {}", why));
}

std::string Session::peer_name() const {
  std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl_.get()), X509_free);
  if (!certificate) {
    throw Error(ErrorCode::kPermissionDenied, "the client presented no certificate");
  }
  return common_name(*certificate);
}

Session::Result Session::result_of(int returned, size_t count) {
  if (returned > 0) {
    return {Io::kDone, count};
  }
  switch (int error = SSL_get_error(ssl_.get(), returned); error) {
    case SSL_ERROR_WANT_READ: return {Io::kWantsInput, 0};
    case SSL_ERROR_WANT_WRITE: return {Io::kWantsOutput, 0};
    case SSL_ERROR_ZERO_RETURN: return {Io::kEnded, 0};
    default:
      if (failure_.empty()) {
        failure_ = reason_of(error);
      }
      return {Io::kBroken, 0};
  }
}

Session::Result Session::read(char* buffer, size_t size) {
  ERR_clear_error();
  size_t count = 0;
  int returned = SSL_read_ex(ssl_.get(), buffer, size, &count);
  return result_of(returned, count);
}

Session::Result Session::write(std::string_view bytes) {
  ERR_clear_error();
  size_t count = 0;
  int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
  return result_of(returned, count);
}

Session::Io Session::end_writing() {
  ERR_clear_error();
  int returned = SSL_shutdown(ssl_.get());  // 0: said, and not answered yet
  return returned >= 0 ? Io::kDone : result_of(returned, 0).io;
}

}  // namespace bulkhead::tls
