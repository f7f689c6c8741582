// One TLS connection over a connected socket. Owned by one thread at a time. `handshake` blocks up to its deadline; everything
// else returns at once and says what to wait for.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "support/unique_fd.h"
#include "tls/context.h"

struct ssl_st;

namespace bulkhead::tls {

class Session {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// The server's side.
  static Session accept(UniqueFd socket, const Context& context);
  /// The client's: the server's certificate has to be for `host`, a name or an address.
  static Session connect(UniqueFd socket, const Context& context, const std::string& host);

  /// Throws kUnauthenticated (one side refuses the other's certificate), kUnavailable (no TLS, broken off), kDeadlineExceeded,
  /// all saying why; kUnavailable where `stop_descriptor` (-1: none) becomes readable first.
  void handshake(Deadline deadline, int stop_descriptor);
  /// After a handshake that failed: the other side's first bytes were an HTTP request.
  bool spoke_http() const { return spoke_http_; }
  /// The client's name (peer_name.h). Throws as `common_name`.
  std::string peer_name() const;

  enum class Io {
    kDone,
    kWantsInput,   // try again when the socket is readable
    kWantsOutput,  // ... is writable
    kEnded,        // the other side said that it sends no more (close_notify)
    kBroken,       // without saying so; `failure` tells why
  };
  struct Result {
    Io io;
    size_t count;
  };
  Result read(char* buffer, size_t size);
  Result write(std::string_view bytes);
  /// Says that this side sends no more; reading goes on (RFC 8446, section 6.1).
  Io end_writing();
  const std::string& failure() const { return failure_; }

  int descriptor() const { return socket_.get(); }
  /// The socket, to say something in plain text. Nothing else may be called after.
  UniqueFd release() { return std::move(socket_); }

 private:
  Session(UniqueFd socket, const Context& context);
  Result result_of(int returned, size_t count);
  [[noreturn]] void handshake_failed(int returned);

  UniqueFd socket_;
  std::shared_ptr<ssl_st> ssl_;
  std::string failure_;
  bool is_server_ = true;
  bool spoke_http_ = false;
};

}  // namespace bulkhead::tls
