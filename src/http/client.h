// The client's side of HTTP/1.1 over a unix socket or TCP, with TLS or without: one `Connection` is one socket, one request at
// a time. Blocking. Owned by its caller; not thread-safe. Failures of the transport throw kUnavailable naming the address.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/response_reader.h"
#include "support/unique_fd.h"
#include "tls/context.h"
#include "tls/relay.h"

namespace bulkhead::http {

/// Where an engine listens.
struct Address {
  enum class Kind { kUnix, kTcp };
  Kind kind = Kind::kUnix;
  std::string path;                         // kUnix
  std::string host, port;                   // kTcp
  std::shared_ptr<const tls::Context> tls;  // kTcp; null: without TLS

  /// "unix:///run/x.sock", "tcp://127.0.0.1:2375".
  std::string text() const;
};

/// Parses what `text` writes; tcp without a port means `default_port` (docker's is 2375, with TLS 2376). Throws
/// kInvalidArgument.
Address parse_address(std::string_view text, std::string_view default_port = "2375");

/// A connection that HTTP was left on: what the other side sent already, and the socket.
struct Upgraded {
  UniqueFd socket;
  std::string received;
  std::unique_ptr<tls::Relay> relay;  // what carries the socket's bytes, with TLS
};

class Connection {
 public:
  /// Throws kUnavailable (nothing listens there), kPermissionDenied, kUnauthenticated (one side refuses the other's
  /// certificate).
  static Connection open(const Address& address);

  /// Sends a request with a body of known size; Host, Content-Length are added.
  void send(RequestHead head, std::string_view body);
  /// Sends a request whose body follows in pieces.
  void send_chunked(RequestHead head);
  void send_chunk(std::string_view bytes);
  void finish_chunks();

  /// Reads the head of the answer.
  ResponseHead receive_head();
  /// The next bytes of the body, at most `size`; 0 at its end.
  size_t receive(char* out, size_t size);
  /// The rest of the body; kResourceExhausted where it is larger than `limit` bytes.
  std::string receive_all(size_t limit = 256UL << 20);

  /// Whether bytes are there (or the end is) within `timeout`.
  bool wait_readable(std::chrono::milliseconds timeout);
  int descriptor() const { return socket_.get(); }
  /// Whether the last answer was read to its end and the other side keeps the connection open.
  bool reusable() const;
  /// After a 101 (or an old engine's 200): the rest is no HTTP.
  Upgraded upgrade() &&;

 private:
  Connection(UniqueFd socket, std::unique_ptr<tls::Relay> relay, std::string address)
      : socket_(std::move(socket)), relay_(std::move(relay)), address_(std::move(address)) {}
  void send_bytes(std::string_view bytes);
  /// Reads from the socket into received_; false at the end.
  bool fill();
  void throw_if_broken() const;

  UniqueFd socket_;
  std::unique_ptr<tls::Relay> relay_;
  std::string address_;
  std::string received_;
  bool head_request_ = false;
  std::optional<ResponseReader> reader_;
};

}  // namespace bulkhead::http
